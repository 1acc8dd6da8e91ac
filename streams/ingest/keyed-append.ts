import { bucketOf, entityKeysOfBatch, partitionOf } from '../../features/values/entity-key.ts'
import type { BatchKeys } from '../../features/values/entity-key.ts'
import type { Column } from '../../features/values/column.ts'
import type { EntityPlan, SourcePlan } from '../../features/plan/source-plan.ts'
import type { KeyedLog } from '../../registry/keyed-logs.ts'
import type { TopicAppend } from '../../stores/log/log.ts'
import { ENTITY_KEY_BYTES_MAX } from '../../stores/online/online-store.ts'
import { compactColumn, gather, gatherColumn } from '../../features/values/gather.ts'
import { encodeBlock, NO_SEQUENCE } from '../blocks/block.ts'
import type { Block, Sequence } from '../blocks/block.ts'
import { isAfter } from '../blocks/origin-filter.ts'
import { keyedTopic, limitsOf } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

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

/** Rows `rows` of events, in that order. */
export function pickEvents(events: OriginEvents, rows: Int32Array): OriginEvents {
  const { length } = rows
  return {
    origin: events.origin,
    length,
    sequenceOffset: gather(events.sequenceOffset, rows, new Float64Array(length)),
    sequenceIndex: gather(events.sequenceIndex, rows, new Int32Array(length)),
    eventTime: gather(events.eventTime, rows, new Float64Array(length)),
    arrival: gather(events.arrival, rows, new Float64Array(length)),
    columns: events.columns.map((column) => gatherColumn(column, rows)),
  }
}

/** The last sequence sent to each `<topic>/<partition>` by one producer. */
export type LastSent = Record<string, Sequence>

/** By partition the later of two. */
export function laterSent(a: LastSent, b: LastSent): LastSent {
  const later = { ...a }
  for (const [at, sequence] of Object.entries(b))
    if (!(at in later) || isAfter(sequence.offset, sequence.index, later[at])) later[at] = sequence
  return later
}

/** An append of one block. */
export interface BlockAppend extends TopicAppend {
  readonly block: Block
}

export function entityColumns(source: SourcePlan, entity: EntityPlan, columns: readonly Column[]): Column[] {
  return entity.columns.map(({ name }) => columns[source.fields.findIndex((field) => field.name === name)])
}

/** The keyed log that events are appended to. */
export interface AppendTarget {
  readonly topic: string
  readonly source: SourcePlan
  readonly entity: EntityPlan
  readonly buckets: number
  readonly partitions: number
  /** A block of several events has no more than this. */
  readonly messageBytesMax: number
}

/** The keyed log of an entity, as the deployment has it. */
export function appendTarget(context: StreamContext, { name, source, entity }: KeyedLog): AppendTarget {
  const { buckets, partitions } = context
  const { messageBytesMax } = limitsOf(context)
  return { topic: keyedTopic(name), source, entity, buckets, partitions, messageBytesMax }
}

/**
 * Splits events by keyed partition into blocks, one per partition unless that would be too large for a message, and advances `lastSent`. Rows with a null key, or
 * one too long to store, are left out.
 */
export function repartition(target: AppendTarget, events: OriginEvents, lastSent: LastSent): BlockAppend[] {
  const columns = entityColumns(target.source, target.entity, events.columns)
  const { distinct, keyOf } = storableKeys(target.entity, columns, events.length)
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
    const blocks = blockAppends({ ...target, partition }, events, picked, lastSent[at] ?? NO_SEQUENCE)
    const last = picked[picked.length - 1]
    lastSent[at] = { offset: events.sequenceOffset[last], index: events.sequenceIndex[last] }
    return blocks
  })
}

/** Rows as one block, or in halves where that is too large: each follows the one before. */
function blockAppends(
  target: Pick<AppendTarget, 'topic' | 'messageBytesMax'> & { readonly partition: number },
  events: OriginEvents,
  rows: Int32Array,
  previous: Sequence,
): BlockAppend[] {
  const own = pickEvents(events, rows)
  const block = { ...own, previous, columns: own.columns.map(compactColumn) }
  const bytes = encodeBlock(block)
  const { topic, partition, messageBytesMax } = target
  if (bytes.length <= messageBytesMax || rows.length === 1) return [{ topic, partition, values: [bytes], block }]
  const half = rows.length >>> 1
  const last = { offset: own.sequenceOffset[half - 1], index: own.sequenceIndex[half - 1] }
  return [
    ...blockAppends(target, events, rows.subarray(0, half), previous),
    ...blockAppends(target, events, rows.subarray(half), last),
  ]
}

/**
 * Rows that cannot be taken in, with the code: every entity's key has a null, or is longer than online stores take, so that no keyed log would hold the row.
 * A row with a key of one entity and without that of another counts for the former: what a view computes must not depend on which other views there are.
 */
export function rowsWithoutKey(
  source: SourcePlan,
  entities: readonly EntityPlan[],
  columns: readonly Column[],
  length: number,
): Map<number, 'TM_EVENT_KEY_NULL' | 'TM_KEY_TOO_LONG'> {
  const rows = new Map<number, 'TM_EVENT_KEY_NULL' | 'TM_KEY_TOO_LONG'>()
  const keys = entities.map((entity) => entityColumns(source, entity, columns))
  if (keys.length === 0 || keys.some((key) => isShort(key) && key.every(({ nulls }) => nulls === null))) return rows
  const hasKey = new Uint8Array(length)
  const isNull = (key: readonly Column[], i: number): boolean => key.some(({ nulls }) => nulls?.[i] === 1)
  const stored = keys.map((key, e) => (isShort(key) ? null : storableKeys(entities[e], key, length).keyOf))
  keys.forEach((key, e) => {
    const keyOf = stored[e]
    for (let i = 0; i < length; i++) if (keyOf === null ? !isNull(key, i) : keyOf[i] >= 0) hasKey[i] = 1
  })
  for (let i = 0; i < length; i++)
    if (hasKey[i] === 0) rows.set(i, keys.every((key) => isNull(key, i)) ? 'TM_EVENT_KEY_NULL' : 'TM_KEY_TOO_LONG')
  return rows
}

export const KEY_REASONS = {
  TM_EVENT_KEY_NULL: 'no entity that reads this source has a key without null in it',
  TM_KEY_TOO_LONG: `no entity that reads this source has a key of at most ${ENTITY_KEY_BYTES_MAX} bytes in it: shorten it, or key by a hash`,
} as const

/** The keys of a batch; a row whose key is longer than online stores take has none. */
function storableKeys(entity: EntityPlan, columns: readonly Column[], length: number): BatchKeys {
  const keys = entityKeysOfBatch(entity, columns, length)
  const { distinct, keyOf } = keys
  if (distinct.some((key) => key.length > ENTITY_KEY_BYTES_MAX))
    for (let i = 0; i < length; i++)
      if (keyOf[i] >= 0 && distinct[keyOf[i]].length > ENTITY_KEY_BYTES_MAX) keyOf[i] = -1
  return keys
}

/** Whether no key of these columns can be too long, told without making them. */
function isShort(key: readonly Column[]): boolean {
  return key.reduce((sum, column) => sum + keyBytesMax(column), 0) <= ENTITY_KEY_BYTES_MAX
}

/** Upper bound of a column's part in key bytes: a UTF-16 unit has at most 3 bytes in UTF-8, a length at most 5. */
function keyBytesMax(column: Column): number {
  if (column.storage === 'string')
    return column.dictionary.reduce((most, { length }) => Math.max(most, 3 * length), 0) + 5
  if (column.storage === 'bytes') return column.values.reduce((most, { length }) => Math.max(most, length), 0) + 5
  return 8
}
