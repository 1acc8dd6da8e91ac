import assert from 'node:assert/strict'
import { valueToJson } from '../../features/values/json-values.ts'
import { encodeCell } from '../../features/values/value-bytes.ts'
import type { OracleCell } from './oracle-view.ts'

/** Fails where two cells differ in a bit of value or status. */
export function assertCell(found: OracleCell, expected: OracleCell, where: string): void {
  if (Buffer.compare(encodeCell(found.value, found.status), encodeCell(expected.value, expected.status)) === 0) return
  assert.fail(`${where}: ${show(found)}, the oracle says ${show(expected)}`)
}

function show({ value, status }: OracleCell): string {
  return `${status} ${valueToJson(value)}`
}
