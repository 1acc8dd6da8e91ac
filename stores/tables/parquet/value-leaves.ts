import { resultValue } from '../../../features/aggregation/result-column.ts'
import type { ResultColumn } from '../../../features/aggregation/result-column.ts'
import type { Value, ValueType } from '../../../features/plan/field-type.ts'
import { PARQUET_TYPE } from './column-chunk.ts'
import type { LeafChunk, LeafValues } from './column-chunk.ts'
import { binaryField, boolField, i32Field, structField } from './thrift-compact.ts'
import type { ThriftField, ThriftStruct } from './thrift-compact.ts'

/*
 * How a column of feature values lies in Parquet: every column optional; vectors and lists as LIST, maps as MAP (three levels, elements optional, keys
 * required); counts and int64 as INT64, timestamps as INT64 TIMESTAMP(MILLIS, UTC), strings and enums as UTF-8.
 */
const REPETITION = { REQUIRED: 0, OPTIONAL: 1, REPEATED: 2 } as const
const EMPTY: ThriftField = structField([])
const utf8 = new TextEncoder()

type Node = ScalarNode | RepeatedNode

interface ScalarNode {
  readonly kind: 'scalar'
  readonly type: ValueType
  readonly physicalType: number
  readonly path: readonly string[]
  readonly optional: boolean
  /** Levels of a present value. */
  readonly definition: number
  readonly repetition: number
  readonly number: number
}

interface RepeatedNode {
  readonly kind: 'repeated'
  readonly children: readonly Node[]
  /** Definition level of a present, empty list. */
  readonly definition: number
  readonly repetition: number
}

/** Leaves of a column in schema order, and its schema elements. */
export interface ColumnShape {
  readonly node: Node
  readonly leaves: readonly ScalarNode[]
  readonly schema: readonly ThriftStruct[]
}

export function shapeOf(name: string, type: ValueType): ColumnShape {
  const leaves: ScalarNode[] = []
  const schema: ThriftStruct[] = []
  const node = addNode(type, { path: [name], optional: true, definition: 0, repetition: 0 }, leaves, schema)
  return { node, leaves, schema }
}

interface Place {
  readonly path: readonly string[]
  readonly optional: boolean
  /** Levels above this element. */
  readonly definition: number
  readonly repetition: number
}

function addNode(type: ValueType, place: Place, leaves: ScalarNode[], schema: ThriftStruct[]): Node {
  const definition = place.definition + (place.optional ? 1 : 0)
  const name = place.path[place.path.length - 1]
  if (type.kind === 'vector' || type.kind === 'list' || type.kind === 'map') {
    const isMap = type.kind === 'map'
    schema.push(
      element(name, place.optional ? REPETITION.OPTIONAL : REPETITION.REQUIRED, [
        [5, i32Field(1)],
        [6, i32Field(isMap ? 1 : 3)],
        [10, structField([[isMap ? 2 : 3, EMPTY]])],
      ]),
    )
    const group = isMap ? 'key_value' : 'list'
    schema.push(element(group, REPETITION.REPEATED, [[5, i32Field(isMap ? 2 : 1)]]))
    const inner = (child: string, optional: boolean): Place => ({
      path: [...place.path, group, child],
      optional,
      definition: definition + 1,
      repetition: place.repetition + 1,
    })
    const children = isMap
      ? [
          addNode(type.key, inner('key', false), leaves, schema),
          addNode(type.value, inner('value', true), leaves, schema),
        ]
      : [addNode(type.kind === 'vector' ? { kind: 'float32' } : type.of, inner('element', true), leaves, schema)]
    return { kind: 'repeated', children, definition, repetition: place.repetition + 1 }
  }
  const physicalType = physicalTypeOf(type)
  const extra: [number, ThriftField][] = [[1, i32Field(physicalType)]]
  if (type.kind === 'string' || type.kind === 'enum') extra.push([6, i32Field(0)], [10, structField([[1, EMPTY]])])
  if (type.kind === 'timestamp')
    extra.push(
      [6, i32Field(9)],
      [
        10,
        structField([
          [
            8,
            structField([
              [1, boolField(true)],
              [2, structField([[1, EMPTY]])],
            ]),
          ],
        ]),
      ],
    )
  schema.push(element(name, place.optional ? REPETITION.OPTIONAL : REPETITION.REQUIRED, extra))
  const node: ScalarNode = {
    kind: 'scalar',
    type,
    physicalType,
    path: place.path,
    optional: place.optional,
    definition,
    repetition: place.repetition,
    number: leaves.length,
  }
  leaves.push(node)
  return node
}

function element(name: string, repetition: number, extra: readonly (readonly [number, ThriftField])[]): ThriftStruct {
  return new Map<number, ThriftField>([[3, i32Field(repetition)], [4, binaryField(name)], ...extra])
}

function physicalTypeOf(type: ValueType): number {
  switch (type.kind) {
    case 'bool':
      return PARQUET_TYPE.BOOLEAN
    case 'int32':
      return PARQUET_TYPE.INT32
    case 'int64':
    case 'count':
    case 'timestamp':
      return PARQUET_TYPE.INT64
    case 'float32':
      return PARQUET_TYPE.FLOAT
    case 'float64':
      return PARQUET_TYPE.DOUBLE
    default:
      return PARQUET_TYPE.BYTE_ARRAY
  }
}

/** What whoever summed a column of numbers up knows of it. */
export interface KnownOfNumbers {
  readonly nulls: number
  /** Of the numbers; none where there are none, or are not numbers but 64-bit integers. */
  readonly count: number
  readonly min: number
  readonly max: number
}

/** The column's leaves for rows 0…rows − 1, ready to encode. */
export function leafChunks(
  shape: ColumnShape,
  column: ResultColumn,
  rows: number,
  known: KnownOfNumbers = knownOf(column, rows),
): LeafChunk[] {
  if (column.storage !== 'objects') return [numberLeaf(shape.leaves[0], column, rows, known)]
  const built = shape.leaves.map(() => ({
    values: [] as Value[],
    definitions: [] as number[],
    repetitions: [] as number[],
  }))
  const leaf = (node: ScalarNode, repetition: number, definition: number): void => {
    built[node.number].definitions.push(definition)
    built[node.number].repetitions.push(repetition)
  }
  const absent = (node: Node, repetition: number, definition: number): void => {
    if (node.kind === 'scalar') leaf(node, repetition, definition)
    else for (const child of node.children) absent(child, repetition, definition)
  }
  const add = (node: Node, value: Value, repetition: number, above: number): void => {
    if (value === null) return absent(node, repetition, above)
    if (node.kind === 'scalar') {
      leaf(node, repetition, node.definition)
      built[node.number].values.push(value)
      return
    }
    const entries = entriesOf(value)
    if (entries.length === 0) return absent(node, repetition, node.definition)
    entries.forEach((entry, i) => {
      node.children.forEach((child, c) =>
        add(child, entry[c], i === 0 ? repetition : node.repetition, node.definition + 1),
      )
    })
  }
  for (let row = 0; row < rows; row++) add(shape.node, resultValue(column, row), 0, 0)
  return shape.leaves.map((node, i) => ({
    path: node.path,
    physicalType: node.physicalType,
    values: leafValues(node, built[i].values),
    entries: built[i].definitions.length,
    nullCount: built[i].definitions.length - built[i].values.length,
    range: null,
    definitions: Uint8Array.from(built[i].definitions),
    definitionMax: node.definition,
    repetitions: Uint8Array.from(built[i].repetitions),
    repetitionMax: node.repetition,
  }))
}

function entriesOf(value: Value): readonly (readonly Value[])[] {
  if (value instanceof Map) return [...(value as ReadonlyMap<Value, Value>)]
  return Array.from(value as readonly Value[] | Float32Array, (item) => [item])
}

function leafValues({ type, physicalType }: ScalarNode, values: readonly Value[]): LeafValues {
  const count = values.length
  const none = new Float64Array(0)
  switch (physicalType) {
    case PARQUET_TYPE.BYTE_ARRAY:
      return {
        numbers: none,
        count,
        byteArrays: values.map((value) => (typeof value === 'string' ? utf8.encode(value) : (value as Uint8Array))),
      }
    case PARQUET_TYPE.BOOLEAN:
      return { numbers: Uint8Array.from(values, (value) => (value === true ? 1 : 0)), count, byteArrays: [] }
    case PARQUET_TYPE.INT64:
      return {
        numbers:
          type.kind === 'int64'
            ? BigInt64Array.from(values as bigint[])
            : wideIntegers(Float64Array.from(values as number[]), count),
        count,
        byteArrays: [],
      }
    default:
      return { numbers: narrowed(physicalType, Float64Array.from(values as number[])), count, byteArrays: [] }
  }
}

/** A column of numbers: nulls left out, no object per value. */
function numberLeaf(
  node: ScalarNode,
  column: ResultColumn,
  rows: number,
  { nulls: nullCount, count: numbersKnown, min, max }: KnownOfNumbers,
): LeafChunk {
  const { nulls } = column
  const count = rows - nullCount
  let definitions: Uint8Array | null = null
  if (nullCount > 0) {
    definitions = new Uint8Array(rows)
    for (let row = 0; row < rows; row++) definitions[row] = 1 - nulls[row]
  }
  const base = {
    path: node.path,
    physicalType: node.physicalType,
    entries: rows,
    nullCount,
    definitions,
    definitionMax: 1,
    repetitions: null,
    repetitionMax: 0,
  }
  if (column.storage === 'bigints') {
    const numbers = new BigInt64Array(count)
    for (let row = 0, at = 0; row < rows; row++) if (nulls[row] === 0) numbers[at++] = column.bigints[row]
    return { ...base, range: null, values: { numbers, byteArrays: [], count } }
  }
  const present = nullCount === 0 ? column.numbers.subarray(0, rows) : presentNumbers(column, rows, count)
  const range = numbersKnown === 0 || node.physicalType === PARQUET_TYPE.BOOLEAN ? null : ([min, max] as const)
  const numbers =
    node.physicalType === PARQUET_TYPE.INT64 ? wideIntegers(present, count) : narrowed(node.physicalType, present)
  return { ...base, range, values: { numbers, byteArrays: [], count } }
}

function knownOf({ storage, numbers, nulls }: ResultColumn, rows: number): KnownOfNumbers {
  const known = { nulls: 0, count: 0, min: Infinity, max: -Infinity }
  for (let row = 0; row < rows; row++) {
    known.nulls += nulls[row]
    if (storage !== 'numbers' || nulls[row] === 1) continue
    known.count++
    if (numbers[row] < known.min) known.min = numbers[row]
    if (numbers[row] > known.max) known.max = numbers[row]
  }
  return known
}

function presentNumbers({ numbers, nulls }: ResultColumn, rows: number, count: number): Float64Array {
  const present = new Float64Array(count)
  for (let row = 0, at = 0; row < rows; row++) if (nulls[row] === 0) present[at++] = numbers[row]
  return present
}

function narrowed(physicalType: number, values: Float64Array): LeafValues['numbers'] {
  if (physicalType === PARQUET_TYPE.INT32) return Int32Array.from(values)
  if (physicalType === PARQUET_TYPE.FLOAT) return Float32Array.from(values)
  return physicalType === PARQUET_TYPE.BOOLEAN ? Uint8Array.from(values) : values
}

/** Safe integers as 64-bit ones, without a bigint each. */
function wideIntegers(values: Float64Array, count: number): BigInt64Array {
  const wide = new BigInt64Array(count)
  const words = new Uint32Array(wide.buffer)
  for (let i = 0; i < count; i++) {
    words[2 * i] = values[i] >>> 0
    words[2 * i + 1] = Math.floor(values[i] / 4294967296) >>> 0
  }
  return wide
}
