import type { Column } from './column.ts'

/** Rows of several columns of one field, one after the other. At least one column; `lengths`: rows of each. */
export function concatColumns(columns: readonly Column[], lengths: readonly number[]): Column {
  const [first] = columns
  if (columns.length === 1) return first
  const rows = lengths.reduce((sum, length) => sum + length, 0)
  const nulls = concatNulls(columns, lengths, rows)
  switch (first.storage) {
    case 'number':
      return { ...first, nulls, values: concatArrays(columns as (typeof first)[], new Float64Array(rows)) }
    case 'bool':
      return { ...first, nulls, values: concatArrays(columns as (typeof first)[], new Uint8Array(rows)) }
    case 'int64':
      return { ...first, nulls, values: concatArrays(columns as (typeof first)[], new BigInt64Array(rows)) }
    case 'vector':
      return {
        ...first,
        nulls,
        values: concatArrays(columns as (typeof first)[], new Float32Array(rows * first.type.length)),
      }
    case 'bytes':
      return { ...first, nulls, values: (columns as (typeof first)[]).flatMap(({ values }) => values) }
    case 'string':
      return { ...first, nulls, ...concatTexts(columns as (typeof first)[], rows) }
  }
}

function concatNulls(columns: readonly Column[], lengths: readonly number[], rows: number): Uint8Array | null {
  if (columns.every(({ nulls }) => nulls === null)) return null
  const all = new Uint8Array(rows)
  let at = 0
  columns.forEach(({ nulls }, i) => {
    if (nulls !== null) all.set(nulls.subarray(0, lengths[i]), at)
    at += lengths[i]
  })
  return all
}

type Numbers = Float64Array | Uint8Array | BigInt64Array | Float32Array

function concatArrays<A extends Numbers>(columns: readonly { readonly values: A }[], target: A): A {
  let at = 0
  for (const { values } of columns) {
    // One storage, hence one kind of array.
    ;(target as Float64Array).set(values as Float64Array, at)
    at += values.length
  }
  return target
}

/** Texts keep one number each: equal ones from several columns are one. */
function concatTexts(
  columns: readonly { readonly codes: Int32Array; readonly dictionary: readonly string[] }[],
  rows: number,
): { codes: Int32Array; dictionary: string[] } {
  const numberOf = new Map<string, number>()
  const dictionary: string[] = []
  const codes = new Int32Array(rows)
  let at = 0
  for (const column of columns) {
    const numbers = column.dictionary.map((text) => {
      const known = numberOf.get(text)
      if (known !== undefined) return known
      const number = dictionary.push(text) - 1
      numberOf.set(text, number)
      return number
    })
    for (const code of column.codes) codes[at++] = numbers[code] ?? 0
  }
  return { codes, dictionary }
}
