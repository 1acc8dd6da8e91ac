import { StateTable } from '../../features/kernel/state-table.ts'
import { ViewKernel } from '../../features/kernel/view-kernel.ts'
import { bucketOf, entityKeysOfBatch } from '../../features/values/entity-key.ts'
import type { EventBatch } from '../../features/values/event-batch.ts'
import type { KeyedLog } from '../../registry/keyed-logs.ts'
import type { BucketRewrite, Marker } from '../../stores/online/online-store.ts'
import { ArchiveReader } from '../archive/archive-reader.ts'
import { failStream } from '../errors.ts'
import { entityColumns } from '../ingest/keyed-append.ts'
import { readKeyedRecord } from '../blocks/keyed-reader.ts'
import { OriginFilter } from '../blocks/origin-filter.ts'
import { keyedTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'
import type { ForgottenKey } from './forgotten-key.ts'

const FETCH_BYTES = 4 << 20
/** Entities whose states are built together. */
const ENTITIES_MAX = 5000

/**
 * Makes the states of entities what a replay of their events without the key's gives, up to each bucket's marker. Versions outside the live set begin anew in
 * those buckets. Bumps epochs, so that an owner's older states are refused. Returns how many states were written.
 */
export async function rebuildStates(
  context: StreamContext,
  key: ForgottenKey,
  { keyedLog, partition, entities }: { keyedLog: KeyedLog; partition: number; entities: readonly Uint8Array[] },
): Promise<number> {
  let written = 0
  for (let from = 0; from < entities.length; from += ENTITIES_MAX)
    written += await rebuildSome(context, key, keyedLog, partition, entities.slice(from, from + ENTITIES_MAX))
  return written
}

async function rebuildSome(
  context: StreamContext,
  key: ForgottenKey,
  keyedLog: KeyedLog,
  partition: number,
  entities: readonly Uint8Array[],
): Promise<number> {
  const bucketOfEntity = entities.map((entity) => bucketOf(entity, context.buckets))
  const buckets = [...new Set(bucketOfEntity)]
  const held = await context.online.markers(keyedLog.name, buckets)
  const markers = new Map(buckets.flatMap((bucket, i) => (held[i] === null ? [] : [[bucket, held[i]]])))
  const live = await viewsOf(context, [...markers.values()])
  const views = await Promise.all([...live].map((version) => context.registry.view(version)))
  const tables = views.map((view) => new StateTable(new ViewKernel(view)))
  const slots = entities.map(() => tables.map((table) => table.open()))
  const numberOf = new Map(entities.map((entity, i) => [Buffer.from(entity).toString('latin1'), i]))
  const until = Math.max(0, ...[...markers.values()].map(({ nextOffset }) => nextOffset))
  for await (const batch of events(context, keyedLog, partition, until)) {
    const { distinct, keyOf } = entityKeysOfBatch(
      keyedLog.entity,
      entityColumns(keyedLog.source, keyedLog.entity, batch.columns),
      batch.length,
    )
    const wanted = Int32Array.from(distinct, (bytes) => numberOf.get(Buffer.from(bytes).toString('latin1')) ?? -1)
    const about = key.rowsOf(keyedLog.source, batch.columns, batch.length)
    tables.forEach((table, view) => {
      const slotOf = Int32Array.from(keyOf, (number, i) => {
        const entity = number < 0 ? -1 : wanted[number]
        if (entity < 0 || about[i] === 1) return -1
        return batch.offset[i] < (markers.get(bucketOfEntity[entity])?.nextOffset ?? 0) ? slots[entity][view] : -1
      })
      if (slotOf.some((slot) => slot >= 0)) table.apply(table.kernel.prepare(batch), slotOf)
    })
  }
  const rewrites = buckets.flatMap((bucket): BucketRewrite[] => {
    const marker = markers.get(bucket)
    const own = entities.flatMap((entity, i) => (bucketOfEntity[i] === bucket ? [{ entity, slot: slots[i] }] : []))
    const writes = own.flatMap(({ entity, slot }) =>
      views.map(({ version }, view) => ({
        view: version,
        key: entity,
        state: tables[view].isChanged(slot[view]) ? tables[view].encode(slot[view]) : null,
      })),
    )
    const isOwn = keyedLog.entity.name === key.entity.name
    const base = { keyedLog: keyedLog.name, bucket, expectedOffset: marker?.nextOffset ?? null, writes }
    return [isOwn ? { ...base, forget: key.bytes } : base]
  })
  const outcomes = await context.online.rewrite(rewrites)
  if (outcomes.some((outcome) => outcome !== 'applied'))
    throw failStream(
      'TM_STREAM_FENCED',
      `${keyedLog.name}, partition ${partition}: states moved while they were rebuilt; run the command again`,
    )
  return rewrites.reduce((sum, { writes }) => sum + writes.length, 0)
}

async function viewsOf(context: StreamContext, markers: readonly Marker[]): Promise<ReadonlySet<string>> {
  const sets = await Promise.all(markers.map(({ views }) => context.registry.viewSets.read(views)))
  return new Set(sets.flatMap((set) => [...set]))
}

/** A partition's events below `until` in position order, each once: from the archive as far as that reaches, then from the log. */
async function* events(
  context: StreamContext,
  keyedLog: KeyedLog,
  partition: number,
  until: number,
): AsyncIterable<EventBatch> {
  const topic = await context.log.topic(keyedTopic(keyedLog.name))
  if (topic === null) return
  const place = { keyedLog: keyedLog.name, incarnation: topic.incarnation, partition }
  const archive = new ArchiveReader(context, place, keyedLog.source.fields)
  let filter = new OriginFilter()
  for (let next = 0; next < until;) {
    const archived = await archive.read(next, until)
    if (archived !== null) {
      if (archived.batch !== null) yield archived.batch
      if (archived.origins !== null) filter = OriginFilter.decode(archived.origins)
      next = archived.nextOffset
      continue
    }
    const records = await context.log.read(topic.name, partition, next, FETCH_BYTES)
    if (records.length === 0) return
    for (const record of records) {
      next = record.offset + 1
      if (record.offset >= until) return
      const batch = readKeyedRecord(record, keyedLog.source.fields, filter, `${topic.name}/${partition}`)
      if (batch !== null) yield batch
    }
  }
}
