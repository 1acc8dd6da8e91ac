import { closeSync, openSync } from 'node:fs'
import type { EntityPlan } from '../features/plan/source-plan.ts'
import type { Column } from '../features/values/column.ts'
import { failStore } from '../stores/errors.ts'
import { readKeys } from './batch-keys.ts'
import type { PackedKeys } from './batch-keys.ts'
import { appendEvents, appendRowGroup } from './event-arena.ts'
import type { Appended, EventArena } from './event-arena.ts'
import { findKey } from './key-table.ts'
import type { SharedKeys } from './key-table.ts'
import { readFieldChunk, textColumn } from './read-field-chunk.ts'
import type { FieldChunk } from './read-field-chunk.ts'

/** Which events of a view are wanted, whoever reads them. */
export interface EventFilter {
  readonly keys: SharedKeys
  /** The entity of each key of the table. */
  readonly entityOfKey: Int32Array
  /** Entities first…end − 1. */
  readonly firstEntity: number
  readonly endEntity: number
  /** Fields that must be less than, or at least, a number. */
  readonly bounds: readonly FieldBound[]
}

export interface FieldBound {
  /** Of the arena. */
  readonly field: number
  readonly below?: number
  readonly from?: number
}

/** One row group of an archive file, read without DuckDB. */
export interface RowGroupLoad {
  readonly path: string
  readonly entity: EntityPlan
  readonly keys: readonly FieldChunk[]
  /** By field of the arena. */
  readonly fields: readonly FieldChunk[]
  readonly filter: EventFilter
  /** Null: events are only counted, by entity. */
  readonly arena: EventArena | null
  readonly counts: Int32Array | null
  /** Whether the arena has room for all rows. */
  readonly takesRowGroups: boolean
}

export interface RowGroupRead extends Appended {
  readonly wanted: number
}

type FieldValues = ReturnType<typeof readFieldChunk>

/** A row group of which this share is wanted is taken whole where there is room: that is faster than picking. */
const WHOLE_SHARE = 0.75

/** Reads a row group's wanted events into the arena. TM_ARCHIVE_DAMAGED. */
export function loadRowGroup(load: RowGroupLoad): RowGroupRead {
  const file = openSync(load.path, 'r')
  try {
    return readRowGroup(file, load)
  } catch (cause) {
    throw failStore(
      'TM_ARCHIVE_DAMAGED',
      `${load.path} cannot be read as an archive file (${String(cause).split('\n')[0]}): restore it from a backup`,
      { details: { path: load.path }, cause },
    )
  } finally {
    closeSync(file)
  }
}

function readRowGroup(
  file: number,
  { entity, keys, fields, filter, arena, counts, ...load }: RowGroupLoad,
): RowGroupRead {
  const entities = entitiesOf(readKeys(file, entity, keys), filter)
  const read = new Map<number, FieldValues>()
  const field = (number: number, room?: ArrayBufferView): FieldValues => {
    let column = read.get(number)
    if (column === undefined) read.set(number, (column = readFieldChunk(file, fields[number], room)))
    return column
  }
  const rows = wantedRows(entities, filter.bounds, (number) => {
    const column = field(number)
    return column.storage === 'number' ? column.values : new Float64Array(0)
  })
  const wanted = rows.length
  if (counts !== null) for (let i = 0; i < wanted; i++) Atomics.add(counts, entities[rows[i]], 1)
  if (arena === null || wanted === 0) return { at: 0, events: 0, parts: [], wanted }
  if (load.takesRowGroups && wanted >= WHOLE_SHARE * entities.length)
    return {
      ...appendRowGroup(arena, entities, rows, (number, room) => {
        const column = field(number, room)
        return column.storage === 'texts' ? everyRow(column, fields[number].type, rows, entities.length) : column
      }),
      wanted,
    }
  const columns = fields.map(({ type }, number): Column => {
    const column = field(number)
    return column.storage === 'texts' ? everyRow(column, type, rows, entities.length) : column
  })
  return { ...appendEvents(arena, entities, columns, rows), wanted }
}

/** Texts of the wanted rows, at those rows' places: what `appendEvents` gathers from. */
function everyRow(
  texts: Parameters<typeof textColumn>[0],
  type: FieldChunk['type'],
  rows: Int32Array,
  length: number,
): Column {
  const column = textColumn(texts, type, rows)
  if (column.storage !== 'string' || rows.length === length) return column
  const codes = new Int32Array(length)
  const nulls = column.nulls === null ? null : new Uint8Array(length)
  for (let i = 0; i < rows.length; i++) {
    codes[rows[i]] = column.codes[i]
    if (nulls !== null) nulls[rows[i]] = column.nulls![i]
  }
  return { ...column, codes, nulls }
}

/** By row the entity of its key, −1 where it is not wanted; the codes of `keys` are gone. */
export function entitiesOf(keys: PackedKeys, filter: EventFilter): Int32Array {
  const { bytes, starts, ends, codes } = keys
  const { entityOfKey, firstEntity, endEntity } = filter
  const entityOfCode = new Int32Array(starts.length)
  for (let code = 0; code < starts.length; code++) {
    const key = findKey(filter.keys, bytes, starts[code], ends[code])
    const entity = key < 0 ? -1 : entityOfKey[key]
    entityOfCode[code] = entity >= firstEntity && entity < endEntity ? entity : -1
  }
  for (let row = 0; row < codes.length; row++) codes[row] = codes[row] < 0 ? -1 : entityOfCode[codes[row]]
  return codes
}

/** Rows that have a wanted entity and lie within all bounds, ascending. */
export function wantedRows(
  entities: Int32Array,
  bounds: readonly FieldBound[],
  valuesOf: (field: number) => Float64Array,
): Int32Array {
  let rows = new Int32Array(entities.length)
  let count = 0
  for (let row = 0; row < entities.length; row++) if (entities[row] >= 0) rows[count++] = row
  rows = rows.subarray(0, count)
  for (const { field, below = Infinity, from = -Infinity } of bounds) {
    if (rows.length === 0) break
    const values = valuesOf(field)
    count = 0
    for (let i = 0; i < rows.length; i++) {
      const value = values[rows[i]]
      if (value < below && value >= from) rows[count++] = rows[i]
    }
    rows = rows.subarray(0, count)
  }
  return rows
}
