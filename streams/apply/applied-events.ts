import { sourceLogName } from '../../features/plan/source-plan.ts'
import type { KeyedLog } from '../../registry/keyed-logs.ts'
import type { Marker } from '../../stores/online/online-store.ts'
import { readKeyedRecord } from '../blocks/keyed-reader.ts'
import { OriginFilter } from '../blocks/origin-filter.ts'
import { keyedTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

const FETCH_BYTES = 4 << 20

/** The marker of each `<keyed log>/<partition>` at one moment. */
export type AppliedPositions = ReadonlyMap<string, Marker | null>

export async function appliedPositions(context: StreamContext): Promise<AppliedPositions> {
  const positions = new Map<string, Marker | null>()
  for (const { keyedLog, partition } of await countedPartitions(context))
    positions.set(`${keyedLog.name}/${partition}`, await markerOf(context, keyedLog, partition))
  return positions
}

/** How many events were applied since then, by whatever process: each once, however many entities it has. */
export async function countAppliedSince(context: StreamContext, since: AppliedPositions): Promise<number> {
  let events = 0
  for (const { keyedLog, partition } of await countedPartitions(context)) {
    const name = `${keyedLog.name}/${partition}`
    const before = since.get(name) ?? null
    const end = (await markerOf(context, keyedLog, partition))?.nextOffset ?? 0
    const filter = OriginFilter.decode(before?.origins ?? new Uint8Array())
    for (let next = before?.nextOffset ?? 0; next < end;) {
      const records = await context.log.read(keyedTopic(keyedLog.name), partition, next, FETCH_BYTES)
      if (records.length === 0) break
      for (const record of records) {
        next = record.offset + 1
        if (record.offset < end) events += readKeyedRecord(record, keyedLog.source.fields, filter, name)?.length ?? 0
      }
    }
  }
  return events
}

/** One keyed log of each source: all of them hold the same events. */
async function countedPartitions(context: StreamContext): Promise<{ keyedLog: KeyedLog; partition: number }[]> {
  const counted = new Map<string, KeyedLog>()
  for (const keyedLog of await context.registry.keyedLogs()) {
    const name = sourceLogName(keyedLog.source)
    if (!counted.has(name)) counted.set(name, keyedLog)
  }
  const partitions = Array.from({ length: context.partitions }, (_, partition) => partition)
  return [...counted.values()].flatMap((keyedLog) => partitions.map((partition) => ({ keyedLog, partition })))
}

async function markerOf(context: StreamContext, keyedLog: KeyedLog, partition: number): Promise<Marker | null> {
  const [marker] = await context.online.markers(keyedLog.name, [partition])
  return marker
}
