import assert from 'node:assert/strict'
import { valueToJson } from '../../features/values/json-values.ts'
import type { Value } from '../../features/plan/field-type.ts'
import { encodeCell } from '../../features/values/value-bytes.ts'
import type { Platform } from './platform.ts'

type Row = Readonly<Record<string, unknown>>
export type Cells = Readonly<Record<string, { readonly value: Value; readonly status: string }>>

interface Observation {
  readonly entity: Row
  readonly request: Row
  readonly at: number
  readonly cells: Cells
}

/** Reads vectors online at chosen times, and later asks the export and the verifier for the same ones. */
export class BothWays {
  readonly #platform: Platform
  readonly #service: string
  readonly #seen: Observation[] = []

  constructor(platform: Platform, service: string) {
    this.#platform = platform
    this.#service = service
  }

  /** Online at t, which must not lie before the clock. */
  async at(t: number, entity: Row, request: Row = {}): Promise<Cells> {
    assert.ok(t >= this.#platform.clock.ms, 'the clock only goes forward')
    this.#platform.clock.ms = t
    const { cells, vector } = await this.#platform.readOne(this.#service, entity, request)
    this.#seen.push({ entity, request, at: vector.evaluatedAt, cells })
    return cells
  }

  /** Every vector read so far: the same bytes in a training set at its time, the same statuses, and no mismatch in verification. */
  async check(): Promise<void> {
    const platform = this.#platform
    platform.clock.ms += 2000
    await platform.settle()
    const spine = this.#seen.map(({ entity, request, at }) => ({ ...entity, ...request, timestamp: at }))
    const { rows, manifest } = await platform.export(this.#service, spine)
    assert.equal(rows.length, this.#seen.length)
    const statuses: Record<string, Record<string, number>> = {}
    this.#seen.forEach(({ cells, at, entity }, i) => {
      for (const [name, { value, status }] of Object.entries(cells)) {
        if (!(name in rows[i].values)) continue
        assert.ok(
          Buffer.compare(encodeCell(rows[i].values[name], 'PRESENT'), encodeCell(value, 'PRESENT')) === 0,
          `${name} of ${JSON.stringify(entity)} at ${at}: served ${valueToJson(value)} (${status}), exported ${valueToJson(rows[i].values[name])}`,
        )
        const counts = (statuses[name] ??= {})
        counts[status] = (counts[status] ?? 0) + 1
      }
    })
    for (const column of manifest.columns) assert.deepEqual(column.statuses, statuses[column.name], column.name)
    await this.verify()
  }

  /** No mismatch in verification, and nothing left out of it. */
  async verify(): Promise<void> {
    const report = await this.#platform.verify()
    assert.deepEqual(report.mismatches, [])
    assert.equal(report.rows, this.#seen.length)
    assert.equal(report.pending, 0)
  }
}
