import type { FieldType } from '../../../features/plan/field-type.ts'
import type { AvroType } from '../../../stores/schemas/avro-schema.ts'
import { NoValue } from '../decode-field.ts'
import type { AvroCursor } from './avro-cursor.ts'

/** Reads the next value as `decodeField` takes it; `branch`: the same of one branch of its type, a union. */
export interface ValueReader {
  (): unknown
  branch(type: AvroType): ValueReader
}

const DECIMALS = new Set([
  'decimal',
  'big-decimal',
  'org.apache.kafka.connect.data.Decimal',
  'io.debezium.data.VariableScaleDecimal',
])
const DECIMAL = new NoValue('a decimal', 'Tidemark has no decimals: have the producer write a double, or its text')
const NO_INSTANT = new NoValue(
  'a date, a time of day or a local time',
  'an instant is needed: have the producer write timestamp-millis or timestamp-micros',
)

/** By logical type, or Kafka Connect's name for it: how many units of it are a millisecond since 1970 in UTC. */
const UNITS_PER_MS: Readonly<Record<string, number>> = {
  'timestamp-millis': 1,
  'timestamp-micros': 1000,
  'timestamp-nanos': 1_000_000,
  'org.apache.kafka.connect.data.Timestamp': 1,
  'io.debezium.time.Timestamp': 1,
  'io.debezium.time.MicroTimestamp': 1000,
  'io.debezium.time.NanoTimestamp': 1_000_000,
}
const NO_INSTANTS =
  /^(date|time-(millis|micros)|local-timestamp-\w+|org\.apache\.kafka\.connect\.data\.(Date|Time)|io\.debezium\.time\.(Date|Time|MicroTime|NanoTime|Year))$/

/** How many units of a number are a millisecond: 1 where nothing is said; null where the number is no instant. */
export function timeDivisor(type: AvroType): number | null {
  const logical = 'logical' in type ? type.logical : null
  if (logical === null) return 1
  return NO_INSTANTS.test(logical) ? null : (UNITS_PER_MS[logical] ?? 1)
}

/** Epoch ms, rounded down. */
export function timeOf(value: number | bigint, unitsPerMs: number): number | bigint {
  if (unitsPerMs === 1) return value
  if (typeof value === 'number') return (value - modulo(value, unitsPerMs)) / unitsPerMs
  const unit = BigInt(unitsPerMs)
  return Number((value - (((value % unit) + unit) % unit)) / unit)
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by
}

/** Code that reads a value of the writer's type for a column; `reader`: the type that the reader's schema gives the field. */
export function avroValue(cursor: AvroCursor, type: AvroType, column: FieldType, reader: AvroType | null): ValueReader {
  const read = valueCode(cursor, type, column, withoutNull(reader))
  return Object.assign(read, { branch: (branch: AvroType) => avroValue(cursor, branch, column, reader) })
}

function valueCode(cursor: AvroCursor, type: AvroType, column: FieldType, reader: AvroType | null): () => unknown {
  const logical = 'logical' in type ? type.logical : null
  if (type.kind === 'union') {
    const branches = type.branches.map((branch) => valueCode(cursor, branch, column, reader))
    return () => branches[cursor.choice(branches.length)]()
  }
  if (logical !== null && DECIMALS.has(logical)) return instead(cursor, type, DECIMAL)
  if (column.kind === 'timestamp' && (type.kind === 'int' || type.kind === 'long')) {
    const units = timeDivisor(type)
    if (units === null) return instead(cursor, type, NO_INSTANT)
    return () => timeOf(type.kind === 'int' ? cursor.int() : cursor.long(), units)
  }
  if (column.kind === 'string' && type.kind === 'fixed' && logical === 'uuid' && type.size === 16)
    return () => uuidText(cursor.slice(16))
  if (type.kind === 'bytes' && reader?.kind === 'string') return () => cursor.text()
  if (type.kind === 'string' && reader?.kind === 'bytes') return () => cursor.slice(cursor.size())
  if (type.kind === 'enum' && reader?.kind === 'enum' && reader.default !== null) {
    const symbols = type.symbols.map((symbol) => (reader.symbols.includes(symbol) ? symbol : reader.default))
    return () => symbols[cursor.choice(symbols.length)]
  }
  // A list that no column holds is not made.
  if (type.kind === 'array' && column.kind !== 'vector') return instead(cursor, type, LIST)
  return () => cursor.value(type)
}

const LIST = new NoValue('an array')

function instead(cursor: AvroCursor, type: AvroType, value: NoValue): () => unknown {
  return () => {
    cursor.skip(type)
    return value
  }
}

/** The branch of a nullable type that is not null. */
function withoutNull(type: AvroType | null): AvroType | null {
  if (type?.kind !== 'union') return type
  const others = type.branches.filter(({ kind }) => kind !== 'null')
  return others.length === 1 ? others[0] : null
}

function uuidText(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
