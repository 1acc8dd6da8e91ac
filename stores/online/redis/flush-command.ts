import type { BucketFlush, StateWrite } from '../online-store.ts'
import { asBuffer } from '../../as-buffer.ts'
import { bucketKey, entityKey, settledKey, versionBytes, versionKey } from './keys.ts'

/** What the flush script is given (see `scripts.ts`). */
export interface ScriptCall {
  readonly keys: Buffer[]
  readonly values: (string | Buffer)[]
}

export function flushScript(flush: BucketFlush, time: string): ScriptCall {
  const { backfill, epoch, views, expectedOffset, nextOffset, origins } = flush
  const marker = backfill === undefined ? bucketKey('m', flush) : versionKey('b', flush, backfill)
  const call: ScriptCall = {
    keys: [marker, settledKey(flush.bucket), bucketKey('v', flush)],
    values: [time, String(epoch), views, String(expectedOffset), String(nextOffset), asBuffer(origins)],
  }
  for (const [view, writes] of Map.groupBy(flush.writes, (write) => write.view)) addGroup(call, flush, view, writes)
  return call
}

function addGroup(call: ScriptCall, flush: BucketFlush, view: string, writes: readonly StateWrite[]): void {
  const open = versionKey('o', flush, view)
  const sealed = versionKey('s', flush, view)
  const opens: Buffer[] = []
  const openValues: Buffer[] = []
  const openDeletes: Buffer[] = []
  const sealeds: Buffer[] = []
  const sealedValues: Buffer[] = []
  const sealedDeletes: Buffer[] = []
  for (const { key, state } of writes) {
    if (state === null) openDeletes.push(entityKey(open, key))
    else {
      opens.push(entityKey(open, key))
      openValues.push(asBuffer(state.open))
    }
    const part = state === null ? null : state.sealed
    if (part === undefined) continue
    if (part === null) sealedDeletes.push(entityKey(sealed, key))
    else {
      sealeds.push(entityKey(sealed, key))
      sealedValues.push(asBuffer(part))
    }
  }
  const lists = [opens, openDeletes, sealeds, sealedDeletes]
  call.keys.push(versionKey('k', flush, view), ...lists.flat())
  call.values.push(versionBytes(view), String(open.length), ...lists.map(({ length }) => String(length)))
  call.values.push(...openValues, ...sealedValues)
}
