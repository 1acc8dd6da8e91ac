import { DataType, DateUnit, Precision, TimeUnit, Vector } from 'apache-arrow'
import type { Data } from 'apache-arrow'
import type { FieldType, Value, ValueType } from '../../../features/plan/field-type.ts'
import { boolField, i32Field, structField } from '../parquet/thrift-compact.ts'
import type { ThriftField } from '../parquet/thrift-compact.ts'

/** How a column of an Arrow file lies in Parquet. */
export interface ArrowColumnShape {
  readonly type: ValueType
  /** What the Parquet schema says of it beyond that: units of times, scales. */
  readonly annotation: readonly (readonly [number, ThriftField])[]
}

const scalar = (
  kind: Exclude<FieldType['kind'], 'enum' | 'vector'>,
  ...annotation: ArrowColumnShape['annotation']
) => ({
  type: { kind } as ValueType,
  annotation,
})

/** null: Tidemark does not take such a column. */
export function shapeOfArrow(type: DataType): ArrowColumnShape | null {
  if (DataType.isDictionary(type)) return shapeOfArrow(type.dictionary as DataType)
  if (DataType.isBool(type)) return scalar('bool')
  if (DataType.isInt(type)) {
    const isWide = type.bitWidth === 64 || (type.bitWidth === 32 && !type.isSigned)
    return scalar(isWide ? 'int64' : 'int32')
  }
  if (DataType.isFloat(type)) return scalar(type.precision === Precision.DOUBLE ? 'float64' : 'float32')
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isUtf8View(type)) return scalar('string')
  if (DataType.isNull(type)) return scalar('string')
  if (isBinary(type)) return scalar('bytes')
  if (DataType.isTimestamp(type)) return timestampShape(type.unit, type.timezone != null)
  if (DataType.isDate(type)) return scalar('int32', [6, i32Field(6)], [10, structField([[6, NOTHING]])])
  if (DataType.isTime(type)) return timeShape(type.unit)
  if (DataType.isDecimal(type) && type.precision <= 18)
    return scalar('int64', [6, i32Field(5)], [7, i32Field(type.scale)], [8, i32Field(type.precision)])
  if (DataType.isMap(type)) {
    const [key, value] = (type.children[0].type as DataType).children.map((child) =>
      shapeOfArrow(child.type as DataType),
    )
    if (key == null || value == null || key.annotation.length + value.annotation.length > 0) return null
    return { type: { kind: 'map', key: key.type as FieldType, value: value.type }, annotation: [] }
  }
  if (DataType.isList(type) || DataType.isLargeList(type) || DataType.isFixedSizeList(type)) {
    const of = shapeOfArrow(type.children[0].type as DataType)
    return of === null || of.annotation.length > 0 ? null : { type: { kind: 'list', of: of.type }, annotation: [] }
  }
  return null
}

const NOTHING = structField([])

function isBinary(type: DataType): boolean {
  return (
    DataType.isBinary(type) ||
    DataType.isLargeBinary(type) ||
    DataType.isBinaryView(type) ||
    DataType.isFixedSizeBinary(type)
  )
}

/** The Parquet unit: milliseconds for seconds too. */
const PARQUET_UNIT: Readonly<Record<TimeUnit, 1 | 2 | 3>> = {
  [TimeUnit.SECOND]: 1,
  [TimeUnit.MILLISECOND]: 1,
  [TimeUnit.MICROSECOND]: 2,
  [TimeUnit.NANOSECOND]: 3,
}

function timestampShape(unit: TimeUnit, isUtc: boolean): ArrowColumnShape {
  const inParquet = PARQUET_UNIT[unit]
  const logical = structField([
    [
      8,
      structField([
        [1, boolField(isUtc)],
        [2, structField([[inParquet, NOTHING]])],
      ]),
    ],
  ])
  const annotation: [number, ThriftField][] = isUtc && inParquet < 3 ? [[6, i32Field(8 + inParquet)]] : []
  return scalar('int64', ...annotation, [10, logical])
}

function timeShape(unit: TimeUnit): ArrowColumnShape {
  const inParquet = PARQUET_UNIT[unit]
  const logical = structField([
    [
      7,
      structField([
        [1, boolField(false)],
        [2, structField([[inParquet, NOTHING]])],
      ]),
    ],
  ])
  return inParquet === 1 ? scalar('int32', [10, logical]) : scalar('int64', [10, logical])
}

/** A row's value of a chunk, as the kernel's values; int64 and times as bigints, strings as their UTF-8 bytes. */
export type RowReader = (row: number) => Value

/** RangeError where a chunk's buffers do not belong together. */
export function rowReader(data: Data): RowReader {
  const { nullBitmap, offset, nullCount } = data
  const present = presentReader(data)
  if (nullCount === 0 || DataType.isNull(data.type)) return present
  expect(nullBitmap.length >= (offset + data.length + 7) >> 3)
  return (row) => (((nullBitmap[(offset + row) >> 3] >> ((offset + row) & 7)) & 1) === 1 ? present(row) : null)
}

function expect(holds: boolean): asserts holds {
  if (!holds) throw new RangeError('its buffers do not belong together')
}

function presentReader(data: Data): RowReader {
  const type = data.type as DataType
  if (DataType.isNull(type)) return () => null
  if (DataType.isDictionary(type)) return dictionaryReader(data)
  if (DataType.isBool(type)) {
    const { values, offset, length } = data as Data & { values: Uint8Array }
    expect(values.length >= (offset + length + 7) >> 3)
    return (row) => ((values[(offset + row) >> 3] >> ((offset + row) & 7)) & 1) === 1
  }
  if (DataType.isMap(type)) {
    const [keys, values] = data.children[0].children.map((child) => rowReader(child))
    return listReader(data, (from, to) => {
      const map = new Map<Value, Value>()
      for (let i = from; i < to; i++) map.set(keys(i), values(i))
      return map
    })
  }
  if (DataType.isList(type) || DataType.isLargeList(type) || DataType.isFixedSizeList(type)) {
    const items = rowReader(data.children[0])
    return listReader(data, (from, to) => Array.from({ length: to - from }, (_, i) => items(from + i)))
  }
  if (DataType.isUtf8View(type) || DataType.isBinaryView(type)) {
    const vector = new Vector([data])
    return (row) => vector.get(row) as string | Uint8Array
  }
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type) || isBinary(type)) {
    const { values } = data as Data & { values: Uint8Array }
    return boundsReader(data, values.length, (from, to) => values.subarray(from, to))
  }
  return numberReader(data)
}

function listReader(data: Data, read: (from: number, to: number) => Value): RowReader {
  return boundsReader(data, data.children[0].length, read)
}

/** Offsets, or the fixed size, of rows of many items. */
function boundsReader(data: Data, items: number, read: (from: number, to: number) => Value): RowReader {
  const type = data.type as DataType
  const { valueOffsets, length, offset } = data as Data & { valueOffsets: Int32Array | BigInt64Array | undefined }
  if (DataType.isFixedSizeList(type) || DataType.isFixedSizeBinary(type)) {
    const size = DataType.isFixedSizeList(type) ? type.listSize : type.byteWidth
    expect(size >= 0 && items >= (offset + length) * size)
    return (row) => read((offset + row) * size, (offset + row + 1) * size)
  }
  if (length === 0) return () => null
  expect(valueOffsets !== undefined && valueOffsets.length > length)
  return (row) => {
    const from = Number(valueOffsets[row])
    const to = Number(valueOffsets[row + 1])
    expect(0 <= from && from <= to && to <= items)
    return read(from, to)
  }
}

function dictionaryReader(data: Data): RowReader {
  const { dictionary, values } = data as Data & { dictionary: Vector; values: Int32Array | BigInt64Array }
  expect(dictionary !== undefined && values.length >= data.length)
  const entries = dictionaryValues(dictionary)
  return (row) => {
    const code = Number(values[row])
    expect(0 <= code && code < entries.length)
    return entries[code]
  }
}

const decoded = new WeakMap<readonly Data[], readonly Value[]>()

/** Every batch of a file refers to the same dictionary. */
function dictionaryValues({ data }: Vector): readonly Value[] {
  let values = decoded.get(data)
  if (values === undefined) {
    values = data.flatMap((chunk) => Array.from({ length: chunk.length }, (_, row) => rowReader(chunk)(row)))
    decoded.set(data, values)
  }
  return values
}

function numberReader(data: Data): RowReader {
  const type = data.type as DataType
  const values = (data as Data & { values: ArrayLike<number | bigint> }).values
  const strideOf = DataType.isDecimal(type) ? type.bitWidth / 32 : 1
  expect(values.length >= data.length * strideOf)
  if (DataType.isTimestamp(type) && type.unit === TimeUnit.SECOND) return (row) => BigInt(values[row]) * 1000n
  if (DataType.isTime(type) && type.unit === TimeUnit.SECOND) return (row) => Number(values[row]) * 1000
  if (DataType.isDate(type) && type.unit === DateUnit.MILLISECOND)
    return (row) => Math.floor(Number(values[row]) / 86_400_000)
  if (DataType.isDecimal(type)) {
    // At most 18 digits: the low 64 of its bits.
    return (row) => BigInt.asIntN(64, (BigInt(values[strideOf * row + 1]) << 32n) | BigInt(values[strideOf * row]))
  }
  if (DataType.isFloat(type) && type.precision === Precision.HALF) return (row) => halfFloat(Number(values[row]))
  if (shapeOfArrow(type)?.type.kind !== 'int64') return (row) => Number(values[row])
  return (row) => {
    const value = BigInt(values[row])
    if (BigInt.asIntN(64, value) !== value) throw new RangeError(`${value} is beyond int64`)
    return value
  }
}

function halfFloat(bits: number): number {
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  const size =
    exponent === 31
      ? fraction === 0
        ? Infinity
        : NaN
      : exponent === 0
        ? fraction * 2 ** -24
        : (1 + fraction / 1024) * 2 ** (exponent - 15)
  return bits >> 15 === 0 ? size : -size
}
