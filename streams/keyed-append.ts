import { bucketOf, entityKeysOfBatch, partitionOf } from '../features/values/entity-key.ts'
import type { Column } from '../features/values/column.ts'
import type { EntityPlan, SourcePlan } from '../features/plan/source-plan.ts'
import type { TopicAppend } from '../stores/log/log.ts'
import { encodeBlock, NO_SEQUENCE } from './block.ts'
import { gather, gatherColumn } from '../features/values/gather.ts'
import type { Sequence } from './block.ts'

/** Decoded events of one origin, in sequence order. */
export interface OriginEvents {
  readonly origin: string
  readonly length: number
  readonly sequenceOffset: Float64Array
  readonly sequenceIndex: Int32Array
  readonly eventTime: Float64Array
  readonly arrival: Float64Array
  readonly columns: readonly Column[]
}

/** The last sequence sent to each `<topic>/<partition>` by one producer. */
export type LastSent = Record<string, Sequence>

export function entityColumns(source: SourcePlan, entity: EntityPlan, columns: readonly Column[]): Column[] {
  return entity.columns.map(({ name }) => columns[source.fields.findIndex((field) => field.name === name)])
}

/** Splits events by keyed partition into blocks, at most one per partition, and advances `lastSent`. Rows with a null key are left out. */
export function repartition(
  target: {
    readonly topic: string
    readonly source: SourcePlan
    readonly entity: EntityPlan
    readonly buckets: number
    readonly partitions: number
  },
  events: OriginEvents,
  lastSent: LastSent,
): TopicAppend[] {
  const { distinct, keyOf } = entityKeysOfBatch(
    target.entity,
    entityColumns(target.source, target.entity, events.columns),
    events.length,
  )
  const partitionOfKey = Int32Array.from(distinct, (key) =>
    partitionOf(bucketOf(key, target.buckets), target.partitions),
  )
  const counts = new Int32Array(target.partitions)
  for (const key of keyOf) if (key >= 0) counts[partitionOfKey[key]]++
  const rows = Array.from(counts, (count) => new Int32Array(count))
  counts.fill(0)
  for (let i = 0; i < events.length; i++) {
    if (keyOf[i] < 0) continue
    const partition = partitionOfKey[keyOf[i]]
    rows[partition][counts[partition]++] = i
  }
  return rows.flatMap((picked, partition) => {
    if (picked.length === 0) return []
    const at = `${target.topic}/${partition}`
    const previous = lastSent[at] ?? NO_SEQUENCE
    const last = picked[picked.length - 1]
    lastSent[at] = { offset: events.sequenceOffset[last], index: events.sequenceIndex[last] }
    const block = encodeBlock({
      origin: events.origin,
      previous,
      length: picked.length,
      sequenceOffset: gather(events.sequenceOffset, picked, new Float64Array(picked.length)),
      sequenceIndex: gather(events.sequenceIndex, picked, new Int32Array(picked.length)),
      eventTime: gather(events.eventTime, picked, new Float64Array(picked.length)),
      arrival: gather(events.arrival, picked, new Float64Array(picked.length)),
      columns: events.columns.map((column) => gatherColumn(column, picked)),
    })
    return [{ topic: target.topic, partition, values: [block] }]
  })
}

/** First rows whose key of any of the entities is null: they belong to no entity. */
export function rowsWithNullKey(
  source: SourcePlan,
  entities: readonly EntityPlan[],
  columns: readonly Column[],
  length: number,
): Set<number> {
  const rows = new Set<number>()
  for (const entity of entities) {
    for (const column of entityColumns(source, entity, columns)) {
      if (column.nulls === null) continue
      for (let i = 0; i < length; i++) if (column.nulls[i] === 1) rows.add(i)
    }
  }
  return rows
}
