import type { CompiledView } from '../features/kernel/compiled-view.ts'
import type { FieldPlan } from '../features/plan/field-type.ts'
import { COLUMN_STORAGE } from '../features/values/column.ts'
import type { Column } from '../features/values/column.ts'
import { archiveFiles } from '../stores/tables/archive-files.ts'
import { ColumnCollector } from '../stores/tables/duckdb-values.ts'
import { sqlName, sqlText } from '../stores/tables/tables.ts'
import type { FixedWidthItems, RawChunk } from '../stores/tables/tables.ts'
import type { OfflineContext, Visibility } from './offline-context.ts'
import type { LoadedEvents } from './sweep-unit.ts'

export interface EventRequest {
  readonly view: CompiledView
  readonly visibility: Visibility
  /** Table of the wanted entities: `"__entity"` INTEGER and the entity's columns. */
  readonly keys: string
  readonly entities: number
  /** By partition: end of the archive as pinned. */
  readonly endOffset: readonly number[]
  /** Events beyond the greatest bound are seen by no row, events before `oldest` are too old to count. */
  readonly bound: number
  readonly oldest: number
  readonly onRows?: (rows: number) => void
  readonly signal?: AbortSignal
}

export interface EntityEvents {
  readonly events: LoadedEvents
  readonly count: number
  readonly entityOf: Int32Array
  /** Events of each entity. */
  readonly counts: Int32Array
}

const POSITION_KINDS = new Set(['first', 'last', 'latest', 'firstN', 'lastN'])
const SEEN: Readonly<Record<Visibility, string>> = {
  arrival: '__arrival',
  'event-time': '__event_time',
  offset: '__offset',
}

/** The archived events of the wanted entities that some row can see, all partitions at once, in no particular order; only what the view reads. */
export async function loadEvents(context: OfflineContext, request: EventRequest): Promise<EntityEvents> {
  const { view, visibility } = request
  const { source, entity } = view.plan
  const keyedLog = `${source.name}.${entity.name}`
  const topic = await context.log.topic(`keyed.${keyedLog}`)
  const fields = fieldsToRead(view, visibility)
  const queries: string[] = []
  let capacity = 0
  for (let partition = 0; topic !== null && partition < context.partitions; partition++) {
    const end = request.endOffset[partition]
    const files = await archiveFiles(context, { keyedLog, incarnation: topic.incarnation, partition }, end)
    if (files.length === 0) continue
    const paths = await Promise.all(files.map(({ name }) => context.objects.localPath(name)))
    capacity += files.reduce((sum, file) => sum + file.events, 0)
    queries.push(querySql(request, fields, paths, files[files.length - 1].lastOffset >= end ? end : null))
  }
  const columns = fields.map((field) => openLoader(field, capacity))
  const entityOf = new Int32Array(new SharedArrayBuffer(4 * capacity))
  const counts = new Int32Array(request.entities)
  let count = 0
  const add = (chunk: RawChunk): void => {
    const { rows } = chunk
    const entities = chunk.items(0) as Int32Array
    for (let i = 0; i < rows; i++) {
      entityOf[count + i] = entities[i]
      counts[entities[i]]++
    }
    columns.forEach((column, c) => column.add(chunk, c + 1, count))
    count += rows
    request.onRows?.(rows)
  }
  await Promise.all(queries.map((sql) => context.tables.scan(sql, add, request.signal)))
  const loaded = new Map(fields.map((field, i) => [field.name, columns[i].finish(count)]))
  return { events: eventsOf(view, visibility, loaded), count, entityOf, counts }
}

function querySql(
  { view, visibility, keys, bound, oldest }: EventRequest,
  fields: readonly FieldPlan[],
  paths: readonly string[],
  end: number | null,
): string {
  const using = view.plan.entity.columns.map(({ name }) => sqlName(name)).join(', ')
  const seen = sqlName(SEEN[visibility])
  const conditions = [`${seen} < ${bound}`]
  if (end !== null) conditions.push(`"__offset" < ${end}`)
  if (oldest > -Infinity) conditions.push(`"__event_time" >= ${oldest}`)
  if (oldest > -Infinity && visibility !== 'event-time') conditions.push(`"__arrival" >= ${oldest}`)
  return `SELECT "__entity", ${fields.map(selectSql).join(', ')} FROM read_parquet([${paths.map(sqlText).join(', ')}]) JOIN ${keys} USING (${using}) WHERE ${conditions.join(' AND ')}`
}

function selectSql({ name, type }: FieldPlan): string {
  switch (COLUMN_STORAGE[type.kind]) {
    case 'number':
      return `${sqlName(name)}::DOUBLE`
    case 'bool':
      return `${sqlName(name)}::UTINYINT`
    default:
      return sqlName(name)
  }
}

/** Source columns that the view reads (all of them where it has functions), then times and positions. */
function fieldsToRead({ plan }: CompiledView, visibility: Visibility): FieldPlan[] {
  const names = new Set<string>()
  for (const { aggregation, bucketBy } of plan.features) {
    if (aggregation.input !== null && 'column' in aggregation.input) names.add(aggregation.input.column)
    if (bucketBy !== null) names.add(bucketBy.column)
  }
  const time = (name: string): FieldPlan => ({
    name,
    type: { kind: 'timestamp' },
    nullable: false,
    nonFinite: 'reject',
  })
  const fields = [
    ...plan.source.fields.filter(({ name }) => plan.functionCount > 0 || names.has(name)),
    time('__event_time'),
  ]
  if (visibility !== 'event-time') fields.push(time('__arrival'))
  if (visibility === 'offset' || readsPositions(plan)) fields.push(time('__offset'), time('__index'))
  return fields
}

function readsPositions({ features }: CompiledView['plan']): boolean {
  return features.some(({ aggregation }) => POSITION_KINDS.has(aggregation.kind))
}

function eventsOf({ plan }: CompiledView, visibility: Visibility, loaded: ReadonlyMap<string, Column>): LoadedEvents {
  const numbers = (name: string): Float64Array => {
    const column = loaded.get(name)
    return column?.storage === 'number' ? column.values : new Float64Array(0)
  }
  const eventTime = numbers('__event_time')
  const arrival = visibility === 'event-time' ? eventTime : numbers('__arrival')
  const offset = numbers('__offset')
  return {
    columns: plan.source.fields.map((field) => loaded.get(field.name) ?? openLoader(field, 0).finish(0)),
    eventTime,
    arrival,
    seen: visibility === 'offset' ? offset : arrival,
    offset,
    index: numbers('__index'),
  }
}

interface Loader {
  add(chunk: RawChunk, column: number, at: number): void
  finish(count: number): Column
}

function openLoader(field: FieldPlan, capacity: number): Loader {
  const { type } = field
  switch (COLUMN_STORAGE[type.kind]) {
    case 'number':
      return fixedLoader(new Float64Array(new SharedArrayBuffer(8 * capacity)), capacity, (values, nulls) => ({
        storage: 'number',
        type,
        values,
        nulls,
      }))
    case 'bool':
      return fixedLoader(new Uint8Array(new SharedArrayBuffer(capacity)), capacity, (values, nulls) => ({
        storage: 'bool',
        type,
        values,
        nulls,
      }))
    case 'int64':
      return fixedLoader(new BigInt64Array(new SharedArrayBuffer(8 * capacity)), capacity, (values, nulls) => ({
        storage: 'int64',
        type,
        values,
        nulls,
      }))
    default: {
      const collector = new ColumnCollector(field)
      return { add: (chunk, column) => chunk.collect(column, collector), finish: () => shared(collector.finish()) }
    }
  }
}

function fixedLoader<A extends FixedWidthItems>(
  values: A,
  capacity: number,
  column: (values: A, nulls: Uint8Array | null) => Column,
): Loader {
  let nulls: Uint8Array | null = null
  return {
    add(chunk, number, at) {
      const items = chunk.items(number).subarray(0, chunk.rows)
      values.set(items as never, at)
      const validity = chunk.validity(number)
      if (validity === null) return
      for (let i = 0; i < chunk.rows; i++) {
        if (((validity[i >> 6] >> BigInt(i & 63)) & 1n) === 1n) continue
        nulls ??= new Uint8Array(new SharedArrayBuffer(capacity))
        nulls[at + i] = 1
        values[at + i] = (values instanceof BigInt64Array ? 0n : 0) as never
      }
    },
    finish: (count) => column(values.subarray(0, count) as A, nulls === null ? null : nulls.subarray(0, count)),
  }
}

/** The same column over memory that threads share, where it has typed arrays. */
function shared(column: Column): Column {
  const copy = <A extends Int32Array | Float32Array | Uint8Array>(
    array: A,
    of: new (buffer: SharedArrayBuffer) => A,
  ): A => {
    const target = new of(new SharedArrayBuffer(array.byteLength))
    target.set(array)
    return target
  }
  const nulls = column.nulls === null ? null : copy(column.nulls, Uint8Array)
  if (column.storage === 'string') return { ...column, codes: copy(column.codes, Int32Array), nulls }
  if (column.storage === 'vector') return { ...column, values: copy(column.values, Float32Array), nulls }
  return { ...column, nulls } as Column
}
