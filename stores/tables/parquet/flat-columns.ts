import { CODEC, ENCODING, PARQUET_TYPE } from './column-chunk.ts'
import type { ParquetFile } from './splice.ts'
import { THRIFT } from './thrift-compact.ts'
import type { ThriftList, ThriftStruct } from './thrift-compact.ts'

/** What the numbers or bytes of a column mean; `other`: nothing that is read here. */
export type ColumnMeaning = 'text' | 'integer' | 'number' | 'bool' | 'milliseconds' | 'microseconds' | 'other'

/** A column without lists. */
export interface FlatColumn {
  readonly name: string
  readonly physicalType: number
  readonly isOptional: boolean
  readonly meaning: ColumnMeaning
  /** Its number among the file's leaves. */
  readonly leaf: number
}

/** Where a column chunk lies, and how it is packed. Plain data, for any thread. */
export interface ChunkPlace {
  readonly path: string
  readonly start: number
  readonly bytes: number
  readonly codec: number
  readonly rows: number
  readonly physicalType: number
  readonly isOptional: boolean
}

const READABLE_CODECS = new Set<number>([CODEC.UNCOMPRESSED, CODEC.GZIP, CODEC.ZSTD])
/** Of levels and values. */
const READABLE_ENCODINGS = new Set<number>([
  ENCODING.PLAIN,
  ENCODING.PLAIN_DICTIONARY,
  ENCODING.RLE,
  ENCODING.RLE_DICTIONARY,
])

/** Columns at the top of the schema that are not groups, by name. */
export function flatColumns({ footer }: ParquetFile): Map<string, FlatColumn> {
  const [root, ...elements] = items(footer, 2) as ThriftStruct[]
  const columns = new Map<string, FlatColumn>()
  let at = 0
  let leaf = 0
  const skip = (): void => {
    const children = Number(elements[at++]?.get(5)?.value ?? 0)
    if (children === 0) leaf++
    for (let i = 0; i < children; i++) skip()
  }
  for (let i = 0; i < Number(root.get(5)?.value ?? 0); i++) {
    const element = elements[at]
    const repetition = Number(element.get(3)?.value ?? 0)
    if (!element.has(5) && repetition < 2) {
      const name = Buffer.from(element.get(4)?.value as Uint8Array).toString()
      const physicalType = Number(element.get(1)?.value)
      columns.set(name, { name, physicalType, isOptional: repetition === 1, meaning: meaningOf(element), leaf })
    }
    skip()
  }
  return columns
}

/** Null where a chunk is packed in a way that `readColumnChunk` does not know. */
export function chunkPlace(file: ParquetFile, rowGroup: number, column: FlatColumn): ChunkPlace | null {
  const group = items(file.footer, 4)[rowGroup] as ThriftStruct
  const chunk = items(group, 1)[column.leaf] as ThriftStruct
  const metadata = chunk.get(3)?.value as ThriftStruct | undefined
  if (metadata === undefined || chunk.has(1) || chunk.has(8) || chunk.has(9)) return null
  const codec = Number(metadata.get(4)?.value)
  const encodings = items(metadata, 2).map(Number)
  if (!READABLE_CODECS.has(codec) || !encodings.every((encoding) => READABLE_ENCODINGS.has(encoding))) return null
  const data = Number(metadata.get(9)?.value)
  const dictionary = Number(metadata.get(11)?.value ?? 0)
  return {
    path: file.path,
    start: dictionary > 0 && dictionary < data ? dictionary : data,
    bytes: Number(metadata.get(7)?.value),
    codec,
    rows: file.rowGroups[rowGroup],
    physicalType: column.physicalType,
    isOptional: column.isOptional,
  }
}

function meaningOf(element: ThriftStruct): ColumnMeaning {
  const converted = element.has(6) ? Number(element.get(6)?.value) : null
  const logical = element.get(10)?.value as ThriftStruct | undefined
  switch (Number(element.get(1)?.value)) {
    case PARQUET_TYPE.BYTE_ARRAY:
      return converted === 0 || logical?.has(1) === true ? 'text' : 'other'
    case PARQUET_TYPE.INT64: {
      const time = logical?.get(8)?.value as ThriftStruct | undefined
      const unit = time?.get(2)?.value as ThriftStruct | undefined
      if (unit?.has(1) === true || (logical === undefined && converted === 9)) return 'milliseconds'
      if (unit?.has(2) === true || (logical === undefined && converted === 10)) return 'microseconds'
      return isSigned(converted, logical) ? 'integer' : 'other'
    }
    case PARQUET_TYPE.INT32:
      return isSigned(converted, logical) ? 'integer' : 'other'
    case PARQUET_TYPE.FLOAT:
    case PARQUET_TYPE.DOUBLE:
      return converted === null && logical === undefined ? 'number' : 'other'
    case PARQUET_TYPE.BOOLEAN:
      return 'bool'
    default:
      return 'other'
  }
}

/** Plain, or annotated as signed. */
function isSigned(converted: number | null, logical: ThriftStruct | undefined): boolean {
  if (logical !== undefined) {
    const integer = logical.get(10)
    return integer?.type === THRIFT.STRUCT && (integer.value as ThriftStruct).get(2)?.value === true
  }
  return converted === null || (converted >= 15 && converted <= 18)
}

function items(struct: ThriftStruct, id: number): ThriftList['items'] {
  const field = struct.get(id)
  return field === undefined ? [] : (field.value as ThriftList).items
}
