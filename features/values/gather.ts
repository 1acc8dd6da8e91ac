import type { Column } from './column.ts'

/** Rows of a batch, in the given order. */
export function gatherColumn(column: Column, rows: Int32Array): Column {
  const n = rows.length
  const nulls = column.nulls === null ? null : gather(column.nulls, rows, new Uint8Array(n))
  switch (column.storage) {
    case 'number':
      return { ...column, nulls, values: gather(column.values, rows, new Float64Array(n)) }
    case 'bool':
      return { ...column, nulls, values: gather(column.values, rows, new Uint8Array(n)) }
    case 'int64': {
      const values = new BigInt64Array(n)
      for (let i = 0; i < n; i++) values[i] = column.values[rows[i]]
      return { ...column, nulls, values }
    }
    case 'string':
      return { ...column, nulls, codes: gather(column.codes, rows, new Int32Array(n)) }
    case 'bytes':
      return { ...column, nulls, values: Array.from(rows, (row) => column.values[row]) }
    case 'vector': {
      const { length } = column.type
      const values = new Float32Array(n * length)
      for (let i = 0; i < n; i++)
        values.set(column.values.subarray(rows[i] * length, (rows[i] + 1) * length), i * length)
      return { ...column, nulls, values }
    }
  }
}

export function gather<A extends Float64Array | Int32Array | Uint8Array>(source: A, rows: Int32Array, target: A): A {
  for (let i = 0; i < rows.length; i++) target[i] = source[rows[i]]
  return target
}

/** A string column whose dictionary holds the texts in use alone, in order of first use; any other column as it is. */
export function compactColumn(column: Column): Column {
  if (column.storage !== 'string') return column
  const numberOf = new Int32Array(column.dictionary.length).fill(-1)
  const codes = new Int32Array(column.codes.length)
  const dictionary: string[] = []
  for (let i = 0; i < codes.length; i++) {
    if (column.nulls !== null && column.nulls[i] === 1) continue
    const code = column.codes[i]
    if (numberOf[code] === -1) numberOf[code] = dictionary.push(column.dictionary[code]) - 1
    codes[i] = numberOf[code]
  }
  return { ...column, codes, dictionary }
}
