import type { ResultColumn } from '../features/aggregation/result-column.ts'
import type { CompiledView } from '../features/kernel/compiled-view.ts'
import { sweep } from '../features/kernel/sweep.ts'
import { createResultColumns, ViewKernel } from '../features/kernel/view-kernel.ts'
import type { Column, NumberColumn } from '../features/values/column.ts'
import { bucketOf, entityKeysOfBatch, partitionOf } from '../features/values/entity-key.ts'
import type { EventBatch } from '../features/values/event-batch.ts'
import { gather } from '../features/values/gather.ts'
import { gatherLoaded } from './gather-loaded.ts'
import type { Registry } from '../registry/registry.ts'
import type { Log } from '../stores/log/log.ts'
import type { MetadataStore } from '../stores/metadata/metadata-store.ts'
import type { OnlineStore } from '../stores/online/online-store.ts'
import type { ObjectStore } from '../stores/objects/object-store.ts'
import { archiveFiles } from '../stores/tables/archive-files.ts'
import { ARCHIVE_FIELDS } from '../stores/tables/archive-layout.ts'
import { sqlName, sqlText } from '../stores/tables/tables.ts'
import type { Tables } from '../stores/tables/tables.ts'

export interface OfflineContext {
  readonly log: Log
  readonly objects: ObjectStore
  readonly metadata: MetadataStore
  readonly tables: Tables
  readonly registry: Registry
  readonly buckets: number
  readonly partitions: number
  /** Where it is at hand: verification holds stored states against the archive, and exports know until when the flush journal is complete. */
  readonly online?: OnlineStore
}

/**
 * What makes an archived event visible to a row: `arrival < bound`, `event time < bound` (arrival := event time), or `offset < bound`
 * (what a served vector had seen).
 */
export type Visibility = 'arrival' | 'event-time' | 'offset'

/** Rows to evaluate for one view. */
export interface RowRequest {
  /** Distinct entity keys, and each row's key (−1: null, reads MISSING). */
  readonly distinct: readonly Uint8Array[]
  readonly keyOf: Int32Array
  readonly bound: Float64Array
  readonly t: Float64Array
}

const ORDER: Readonly<Record<Visibility, string>> = {
  arrival: '"__arrival"',
  'event-time': '"__event_time"',
  offset: '"__offset"',
}

/** Recomputes a view's features for rows from the archive, one keyed partition in memory at a time. Result columns are in row order. */
export async function evaluateRows(
  context: OfflineContext,
  view: CompiledView,
  visibility: Visibility,
  request: RowRequest,
): Promise<ResultColumn[]> {
  const kernel = new ViewKernel(view)
  const out = createResultColumns(view, request.keyOf.length)
  const partitionOfKey = Int32Array.from(request.distinct, (key) =>
    partitionOf(bucketOf(key, context.buckets), context.partitions),
  )
  const rowsOf: number[][] = Array.from({ length: context.partitions }, () => [])
  request.keyOf.forEach((key, row) => rowsOf[key < 0 ? 0 : partitionOfKey[key]].push(row))
  const latest = request.bound.reduce((a, b) => Math.max(a, b), 0)
  for (let partition = 0; partition < context.partitions; partition++) {
    if (rowsOf[partition].length === 0) continue
    const events = await loadPartition(context, view, partition, visibility, latest)
    evaluatePartition(kernel, visibility, request, rowsOf[partition], events, out)
  }
  return out
}

async function loadPartition(
  context: OfflineContext,
  view: CompiledView,
  partition: number,
  visibility: Visibility,
  bound: number,
): Promise<EventBatch> {
  const { source, entity } = view.plan
  const name = `${source.name}.${entity.name}`
  const topic = await context.log.topic(`keyed.${name}`)
  const place = { keyedLog: name, incarnation: topic?.incarnation ?? '', partition }
  const files = topic === null ? [] : await archiveFiles(context, place)
  if (files.length === 0)
    return toBatch({ rows: 0, columns: [...source.fields, ...ARCHIVE_FIELDS].map(emptyColumn) }, visibility)
  const paths = await Promise.all(files.map((file) => context.objects.localPath(file.name)))
  const read = readColumns(view)
  const fields = [...source.fields.filter((field) => read.has(field.name)), ...ARCHIVE_FIELDS]
  const select = fields.map(({ name: column, type }) =>
    isNumber(type.kind) ? `${sqlName(column)}::DOUBLE` : sqlName(column),
  )
  const keys = entity.columns.map((column) => sqlName(column.name)).join(', ')
  const order = ORDER[visibility]
  const sql = `SELECT ${select.join(', ')} FROM read_parquet([${paths.map(sqlText).join(', ')}]) WHERE ${order} < ${bound} ORDER BY ${keys}, ${order}, "__offset", "__index"`
  const { rows, columns } = await context.tables.queryAll(sql, fields)
  const loaded = new Map(fields.map((field, i) => [field.name, columns[i]]))
  return toBatch(
    {
      rows,
      columns: [...source.fields, ...ARCHIVE_FIELDS].map((field) => loaded.get(field.name) ?? emptyColumn(field)),
    },
    visibility,
  )
}

/** Names of the source columns that a view reads; all of them where it has functions. Columns it never reads are not loaded. */
function readColumns({ plan }: CompiledView): ReadonlySet<string> {
  if (plan.functionCount > 0) return new Set(plan.source.fields.map(({ name }) => name))
  const names = new Set(plan.entity.columns.map(({ name }) => name))
  for (const { aggregation, bucketBy } of plan.features) {
    if (aggregation.input !== null && 'column' in aggregation.input) names.add(aggregation.input.column)
    if (bucketBy !== null) names.add(bucketBy.column)
  }
  return names
}

function isNumber(kind: string): boolean {
  return kind === 'timestamp' || kind === 'int32' || kind === 'float32' || kind === 'float64'
}

function emptyColumn(field: { type: Column['type'] }): Column {
  if (field.type.kind === 'string' || field.type.kind === 'enum')
    return { storage: 'string', type: field.type, codes: new Int32Array(0), dictionary: [], nulls: null }
  return { storage: 'number', type: field.type, values: new Float64Array(0), nulls: null }
}

function toBatch({ rows, columns }: { rows: number; columns: readonly Column[] }, visibility: Visibility): EventBatch {
  const fieldCount = columns.length - ARCHIVE_FIELDS.length
  const [eventTime, arrival, offset, index] = columns.slice(fieldCount).map((column) => (column as NumberColumn).values)
  const known = visibility === 'event-time' ? eventTime : arrival
  return {
    length: rows,
    columns: columns.slice(0, fieldCount),
    eventTime,
    arrival: known,
    tau: eventTime.map((time, i) => Math.min(time, known[i])),
    offset,
    index: Int32Array.from(index),
  }
}

function text(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}

function evaluatePartition(
  kernel: ViewKernel,
  visibility: Visibility,
  request: RowRequest,
  rows: readonly number[],
  events: EventBatch,
  out: readonly ResultColumn[],
): void {
  const { source, entity } = kernel.view.plan
  const columns = entity.columns.map(
    ({ name }) => events.columns[source.fields.findIndex((field) => field.name === name)],
  )
  const eventKeys = entityKeysOfBatch(entity, columns, events.length)
  const groupOfEvent = new Map<string, { start: number; end: number }>()
  for (let i = 0; i < events.length; i++) {
    const key = eventKeys.keyOf[i]
    const end = lastOfRun(eventKeys.keyOf, i)
    groupOfEvent.set(text(eventKeys.distinct[key]), { start: i, end })
    i = end - 1
  }
  const { bound, t, keyOf, distinct } = request
  const groups = new Map<number, number[]>()
  for (const row of rows) {
    const list = groups.get(keyOf[row]) ?? []
    groups.set(keyOf[row], list)
    list.push(row)
  }
  const seen = visibility === 'offset' ? events.offset : visibility === 'event-time' ? events.eventTime : events.arrival
  const ordered: number[] = []
  const visible: number[] = []
  const eventRanges: { start: number; end: number }[] = []
  const rowStart = [0]
  const byStart = [...groups].map(([key, list]) => ({
    list,
    range: (key < 0 ? undefined : groupOfEvent.get(text(distinct[key]))) ?? { start: 0, end: 0 },
  }))
  byStart.sort((a, b) => a.range.start - b.range.start || a.range.end - b.range.end)
  for (const { list, range } of byStart) {
    list.sort((a, b) => bound[a] - bound[b] || t[a] - t[b] || a - b)
    let next = range.start
    for (const row of list) {
      while (next < range.end && seen[next] < bound[row]) next++
      ordered.push(row)
      visible.push(next - range.start)
    }
    eventRanges.push(range)
    rowStart.push(ordered.length)
  }
  const input = compact(kernel, events, eventRanges)
  const results = sweep(kernel, {
    ...input,
    groups: eventRanges.length,
    rowStart: Int32Array.from(rowStart),
    visible: Int32Array.from(visible),
    t: Float64Array.from(ordered, (row) => t[row]),
  })
  results.forEach((result, f) => {
    const target = out[f]
    ordered.forEach((row, at) => {
      target.nulls[row] = result.nulls[at]
      target.statuses[row] = result.statuses[at]
      if (target.storage === 'numbers') target.numbers[row] = result.numbers[at]
      else if (target.storage === 'bigints') target.bigints[row] = result.bigints[at]
      else target.objects[row] = result.objects[at]
    })
  })
}

function lastOfRun(keys: Int32Array, from: number): number {
  let end = from + 1
  while (end < keys.length && keys[end] === keys[from]) end++
  return end
}

/** The events of the asked entities, as contiguous groups. */
function compact(kernel: ViewKernel, events: EventBatch, ranges: readonly { start: number; end: number }[]) {
  const eventStart = new Int32Array(ranges.length + 1)
  const wanted = ranges.reduce((sum, { start, end }) => sum + end - start, 0)
  const rows = new Int32Array(wanted)
  let at = 0
  ranges.forEach(({ start, end }, g) => {
    for (let i = start; i < end; i++) rows[at++] = i
    eventStart[g + 1] = at
  })
  const batch: EventBatch = {
    length: wanted,
    columns: events.columns.map((column) => gatherLoaded(column, rows)),
    eventTime: gather(events.eventTime, rows, new Float64Array(wanted)),
    arrival: gather(events.arrival, rows, new Float64Array(wanted)),
    tau: gather(events.tau, rows, new Float64Array(wanted)),
    offset: gather(events.offset, rows, new Float64Array(wanted)),
    index: gather(events.index, rows, new Int32Array(wanted)),
  }
  return { prepared: kernel.prepare(batch), eventStart }
}
