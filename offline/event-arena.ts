import type { FieldPlan } from '../features/plan/field-type.ts'
import { COLUMN_STORAGE } from '../features/values/column.ts'
import type { Column } from '../features/values/column.ts'

/** Room for events in memory that threads share; threads append to it at once, so the events lie in no particular order. */
export interface EventArena {
  readonly capacity: number
  /** Events so far, then by field the texts so far. */
  readonly counts: Int32Array
  /** By field 1 where a null was appended. */
  readonly hasNulls: Uint8Array
  /** −1: an event that nobody wants. */
  readonly entityOf: Int32Array
  readonly fields: readonly FieldPlan[]
  /** By field. */
  readonly columns: readonly ArenaColumn[]
}

interface ArenaColumn {
  /** Codes for texts, a vector's numbers one after the other, nothing for bytes. */
  readonly values: Float64Array | BigInt64Array | Uint8Array | Int32Array | Float32Array
  readonly nulls: Uint8Array
}

/** What does not lie in shared memory: texts from code `base` on, or bytes from event `base` on. */
export interface ArenaPart {
  readonly field: number
  readonly base: number
  readonly texts: readonly string[]
  readonly bytes: readonly Uint8Array[]
}

/** Events at…at + events − 1 of the arena. */
export interface Appended {
  readonly at: number
  readonly events: number
  readonly parts: readonly ArenaPart[]
}

export function createArena(fields: readonly FieldPlan[], capacity: number): EventArena {
  const room = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes)
  return {
    capacity,
    counts: new Int32Array(room(4 * (1 + fields.length))),
    hasNulls: new Uint8Array(room(fields.length)),
    entityOf: new Int32Array(room(4 * capacity)),
    fields,
    columns: fields.map(({ type }) => {
      const nulls = new Uint8Array(room(capacity))
      switch (COLUMN_STORAGE[type.kind]) {
        case 'number':
          return { values: new Float64Array(room(8 * capacity)), nulls }
        case 'int64':
          return { values: new BigInt64Array(room(8 * capacity)), nulls }
        case 'bool':
          return { values: new Uint8Array(room(capacity)), nulls }
        case 'string':
          return { values: new Int32Array(room(4 * capacity)), nulls }
        case 'bytes':
          return { values: new Uint8Array(0), nulls }
        case 'vector':
          return { values: new Float32Array(room(4 * capacity * lengthOf(type))), nulls }
      }
    }),
  }
}

/** Bytes of memory that an event takes, texts and bytes apart. */
export function bytesPerEvent(fields: readonly FieldPlan[]): number {
  const WIDTH = { number: 8, int64: 8, bool: 1, string: 4, bytes: 64, vector: 0 } as const
  return fields.reduce((sum, { type }) => sum + WIDTH[COLUMN_STORAGE[type.kind]] + 4 * lengthOf(type), 8)
}

function lengthOf(type: FieldPlan['type']): number {
  return type.kind === 'vector' ? type.length : 0
}

/** Empties it for the next events. */
export function resetArena({ counts, hasNulls, columns }: EventArena): void {
  counts.fill(0)
  hasNulls.forEach((has, field) => {
    if (has === 1) columns[field].nulls.fill(0)
  })
  hasNulls.fill(0)
}

/** Takes room for so many events; where it begins. */
function reserve(arena: EventArena, events: number): number {
  const at = Atomics.add(arena.counts, 0, events)
  if (at + events > arena.capacity) throw new RangeError('more events than an archive footer says')
  return at
}

/**
 * Appends all rows of a row group, of which most are wanted, without a copy of numbers: `read` reads a field's into the room that it is given, or returns
 * them in memory of their own. Those that are not wanted get no entity, so that nobody sees them.
 */
export function appendRowGroup(
  arena: EventArena,
  entities: Int32Array,
  rows: Int32Array,
  read: (field: number, room: ArrayBufferView) => Column,
): Appended {
  const { length } = entities
  const at = reserve(arena, length)
  const entityOf = arena.entityOf.subarray(at, at + length).fill(-1)
  for (let i = 0; i < rows.length; i++) entityOf[rows[i]] = entities[rows[i]]
  let all: Int32Array | null = null
  const parts = arena.fields.flatMap((_, field) => {
    const { values, nulls } = arena.columns[field]
    const room = values.subarray(at, at + length)
    const column = read(field, room)
    if (!('values' in column) || column.values !== room)
      return append(arena, field, column, { rows: (all ??= entities.map((__, row) => row)), at })
    if (column.nulls !== null) {
      nulls.set(column.nulls, at)
      arena.hasNulls[field] = 1
    }
    return []
  })
  return { at, events: length, parts }
}

/** Appends rows `rows` of the columns, one per field; further columns do not count. Returns where they are, and what the arena cannot hold. */
export function appendEvents(
  arena: EventArena,
  entities: Int32Array,
  columns: readonly Column[],
  rows: Int32Array,
): Appended {
  const at = reserve(arena, rows.length)
  take(entities, rows, arena.entityOf.subarray(at, at + rows.length))
  const parts = columns
    .slice(0, arena.fields.length)
    .flatMap((column, field) => append(arena, field, column, { rows, at }))
  return { at, events: rows.length, parts }
}

function append(
  arena: EventArena,
  field: number,
  column: Column,
  { rows, at }: { rows: Int32Array; at: number },
): ArenaPart[] {
  const { values, nulls } = arena.columns[field]
  if (column.nulls !== null) {
    take(column.nulls, rows, nulls.subarray(at, at + rows.length))
    arena.hasNulls[field] = 1
  }
  const end = at + rows.length
  switch (column.storage) {
    case 'number':
      take(column.values, rows, (values as Float64Array).subarray(at, end))
      return []
    case 'bool':
      take(column.values, rows, (values as Uint8Array).subarray(at, end))
      return []
    case 'int64':
      for (let i = 0; i < rows.length; i++) values[at + i] = column.values[rows[i]]
      return []
    case 'string': {
      const base = Atomics.add(arena.counts, 1 + field, column.dictionary.length)
      for (let i = 0; i < rows.length; i++) values[at + i] = base + column.codes[rows[i]]
      return [{ field, base, texts: column.dictionary, bytes: [] }]
    }
    case 'bytes':
      return [{ field, base: at, texts: [], bytes: Array.from(rows, (row) => column.values[row]) }]
    case 'vector': {
      const { length } = column.type
      const target = values as Float32Array
      for (let i = 0; i < rows.length; i++)
        target.set(column.values.subarray(rows[i] * length, (rows[i] + 1) * length), (at + i) * length)
      return []
    }
  }
}

/** The events so far as columns over the arena's memory. */
export function arenaColumns(arena: EventArena, parts: readonly ArenaPart[]): Column[] {
  const count = arena.counts[0]
  const dictionaries = arena.fields.map((): string[] => [])
  const bytes = arena.fields.map((): Uint8Array[] => [])
  for (const part of parts) {
    part.texts.forEach((text, i) => (dictionaries[part.field][part.base + i] = text))
    part.bytes.forEach((value, i) => (bytes[part.field][part.base + i] = value))
  }
  return arena.fields.map(({ type }, f): Column => {
    const { values, nulls: marks } = arena.columns[f]
    const nulls = arena.hasNulls[f] === 1 ? marks.subarray(0, count) : null
    switch (COLUMN_STORAGE[type.kind]) {
      case 'number':
        return { storage: 'number', type, values: values.subarray(0, count) as Float64Array, nulls }
      case 'int64':
        return { storage: 'int64', type, values: values.subarray(0, count) as BigInt64Array, nulls }
      case 'bool':
        return { storage: 'bool', type, values: values.subarray(0, count) as Uint8Array, nulls }
      case 'string':
        return {
          storage: 'string',
          type,
          codes: values.subarray(0, count) as Int32Array,
          dictionary: dictionaries[f],
          nulls,
        }
      case 'bytes':
        return { storage: 'bytes', type, values: bytes[f], nulls }
      case 'vector': {
        const vector = type as typeof type & { kind: 'vector' }
        return {
          storage: 'vector',
          type: vector,
          values: values.subarray(0, count * vector.length) as Float32Array,
          nulls,
        }
      }
    }
  })
}

/** Rows of a source in their order; whole stretches at once where the rows follow each other. */
function take<A extends Float64Array | Int32Array | Uint8Array>(source: A, rows: Int32Array, target: A): void {
  const { length } = rows
  if (length > 0 && rows[length - 1] - rows[0] === length - 1)
    target.set(source.subarray(rows[0], rows[0] + length) as never)
  else for (let i = 0; i < length; i++) target[i] = source[rows[i]]
}
