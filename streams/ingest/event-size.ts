import type { Column } from '../../features/values/column.ts'

/** Of a block of one event, what is not in a field: format, origin (an import's has a column's name in it), sequences, counts, times. */
const BLOCK_BYTES = 512
/** Beside its value: whether there are nulls and this is one, and for a text two counts and a code. */
const FIELD_BYTES = 16

/**
 * Rows whose event alone, in a block of its own, could have more bytes than a message may, each with about how many. Compression is not counted on: whether an
 * event fits must follow from the event, as it is appended to several keyed logs, and again by a fill.
 */
export function rowsTooLarge(
  columns: readonly Column[],
  length: number,
  messageBytesMax: number,
): ReadonlyMap<number, number> {
  const rows = new Map<number, number>()
  const sizes = columns.map(sizeOf)
  const fixed = BLOCK_BYTES + FIELD_BYTES * columns.length
  if (framed(fixed + sizes.reduce((sum, { most }) => sum + most, 0)) <= messageBytesMax) return rows
  for (let row = 0; row < length; row++) {
    const bytes = framed(sizes.reduce((sum, { of }) => sum + of(row), fixed))
    if (bytes > messageBytesMax) rows.set(row, bytes)
  }
  return rows
}

export function describeTooLarge(bytes: number, messageBytesMax: number): string {
  return `the event takes up to ${bytes} bytes in a log, a message has ${messageBytesMax} at most: send less with it (a reference in place of the thing), or raise maxMessageBytes in tidemark.config.ts and replay it`
}

/** zstd adds no more than this to what it cannot compress. */
function framed(bytes: number): number {
  return bytes + (bytes >>> 8) + 64
}

interface ColumnSize {
  /** Bytes of the greatest value, at most. */
  readonly most: number
  readonly of: (row: number) => number
}

function sizeOf(column: Column): ColumnSize {
  switch (column.storage) {
    case 'string': {
      const { codes, dictionary, nulls } = column
      // A UTF-16 unit has at most 3 bytes in UTF-8.
      const most = dictionary.reduce((greatest, { length }) => Math.max(greatest, 3 * length), 0)
      return { most, of: (row) => (nulls?.[row] === 1 ? 0 : Buffer.byteLength(dictionary[codes[row]])) }
    }
    case 'bytes': {
      const { values } = column
      const most = values.reduce((greatest, { length }) => Math.max(greatest, length), 0)
      return { most, of: (row) => values[row].length }
    }
    case 'vector': {
      const bytes = 4 * column.type.length
      return { most: bytes, of: () => bytes }
    }
    default:
      return { most: 8, of: () => 8 }
  }
}
