import {
  Binary,
  DateDay,
  Decimal,
  Float32,
  Float64,
  Int16,
  Int32,
  Int64,
  Int8,
  TimeMicrosecond,
  Timestamp,
  TimeUnit,
  Uint16,
  Uint32,
  Uint64,
  Uint8,
  Utf8,
} from 'apache-arrow'
import { DuckDBTypeId } from '@duckdb/node-api'
import type {
  DuckDBArrayType,
  DuckDBDecimalType,
  DuckDBListType,
  DuckDBMapType,
  DuckDBStructType,
  DuckDBType,
  DuckDBValue,
  DuckDBVector,
} from '@duckdb/node-api'
import {
  BoolBuilder,
  BytesBuilder,
  DecimalBuilder,
  ListBuilder,
  MapBuilder,
  NullBuilder,
  NumberBuilder,
  StructBuilder,
} from './value-builders.ts'
import type { ColumnBuilder } from './value-builders.ts'

export interface BuilderOptions {
  /** Times as UTC milliseconds, floored; else in the unit they have. */
  readonly milliseconds: boolean
}

/** A builder for a column of DuckDB's type; null where Arrow has no such type. */
export function columnBuilder(type: DuckDBType, options: BuilderOptions): ColumnBuilder | null {
  switch (type.typeId) {
    case DuckDBTypeId.LIST:
    case DuckDBTypeId.ARRAY: {
      const child = columnBuilder((type as DuckDBListType | DuckDBArrayType).valueType, options)
      return child === null ? null : new ListBuilder(child)
    }
    case DuckDBTypeId.MAP: {
      const { keyType, valueType } = type as DuckDBMapType
      const key = columnBuilder(keyType, options)
      const value = columnBuilder(valueType, options)
      return key === null || value === null ? null : new MapBuilder(key, value)
    }
    case DuckDBTypeId.STRUCT: {
      const { entryNames, entryTypes } = type as DuckDBStructType
      const children = entryTypes.map((child) => columnBuilder(child, options))
      const whole = children.filter((child) => child !== null)
      return whole.length < children.length ? null : new StructBuilder(entryNames, whole)
    }
    default:
      return scalarBuilder(type, options)
  }
}

function scalarBuilder(type: DuckDBType, { milliseconds }: BuilderOptions): ColumnBuilder | null {
  const timestamp = (unit: TimeUnit, zone: string | null, part: string, perMs: bigint): ColumnBuilder => {
    const read = (value: DuckDBValue): bigint => (value as unknown as Record<string, bigint>)[part]
    if (!milliseconds) return new NumberBuilder(new Timestamp(unit, zone), new BigInt64Array(0), read)
    const inMs = (value: DuckDBValue): bigint => floorDivide(read(value), perMs)
    return new NumberBuilder(new Timestamp(TimeUnit.MILLISECOND, 'UTC'), new BigInt64Array(0), inMs)
  }
  switch (type.typeId) {
    case DuckDBTypeId.BOOLEAN:
      return new BoolBuilder()
    case DuckDBTypeId.TINYINT:
      return new NumberBuilder(new Int8(), new Int8Array(0))
    case DuckDBTypeId.SMALLINT:
      return new NumberBuilder(new Int16(), new Int16Array(0))
    case DuckDBTypeId.INTEGER:
      return new NumberBuilder(new Int32(), new Int32Array(0))
    case DuckDBTypeId.BIGINT:
      return new NumberBuilder(new Int64(), new BigInt64Array(0))
    case DuckDBTypeId.UTINYINT:
      return new NumberBuilder(new Uint8(), new Uint8Array(0))
    case DuckDBTypeId.USMALLINT:
      return new NumberBuilder(new Uint16(), new Uint16Array(0))
    case DuckDBTypeId.UINTEGER:
      return new NumberBuilder(new Uint32(), new Uint32Array(0))
    case DuckDBTypeId.UBIGINT:
      return new NumberBuilder(new Uint64(), new BigUint64Array(0))
    case DuckDBTypeId.FLOAT:
      return new NumberBuilder(new Float32(), new Float32Array(0))
    case DuckDBTypeId.DOUBLE:
      return new NumberBuilder(new Float64(), new Float64Array(0))
    case DuckDBTypeId.TIMESTAMP:
      return timestamp(TimeUnit.MICROSECOND, null, 'micros', 1000n)
    case DuckDBTypeId.TIMESTAMP_TZ:
      return timestamp(TimeUnit.MICROSECOND, 'UTC', 'micros', 1000n)
    case DuckDBTypeId.TIMESTAMP_MS:
      return timestamp(TimeUnit.MILLISECOND, null, 'millis', 1n)
    case DuckDBTypeId.TIMESTAMP_NS:
      return timestamp(TimeUnit.NANOSECOND, null, 'nanos', 1_000_000n)
    case DuckDBTypeId.DATE:
      return new NumberBuilder(new DateDay(), new Int32Array(0), (value) => (value as unknown as { days: number }).days)
    case DuckDBTypeId.TIME:
      return new NumberBuilder(
        new TimeMicrosecond(),
        new BigInt64Array(0),
        (value) => (value as unknown as { micros: bigint }).micros,
      )
    case DuckDBTypeId.DECIMAL: {
      const { width, scale } = type as DuckDBDecimalType
      return new DecimalBuilder(new Decimal(scale, width))
    }
    case DuckDBTypeId.VARCHAR:
      return new BytesBuilder(new Utf8(), (value) => Buffer.from(value as string))
    case DuckDBTypeId.BLOB:
      return new BytesBuilder(new Binary(), (value) => (value as unknown as { bytes: Uint8Array }).bytes.slice())
    case DuckDBTypeId.SQLNULL:
      return new NullBuilder()
    default:
      return null
  }
}

function floorDivide(value: bigint, by: bigint): bigint {
  const quotient = value / by
  return value % by < 0n ? quotient - 1n : quotient
}

/** Appends a vector's rows. */
export function appendVector(builder: ColumnBuilder, vector: DuckDBVector, rows: number): void {
  const items: unknown = 'items' in vector ? vector.items : null
  const isWhole = 'validity' in vector && (vector.validity as { data: unknown }).data === null
  if (isWhole && builder instanceof NumberBuilder && builder.appendAll(items, rows)) return
  for (let i = 0; i < rows; i++) builder.append(vector.getItem(i))
}
