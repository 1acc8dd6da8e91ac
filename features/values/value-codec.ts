import type { FieldType, Value } from '../plan/field-type.ts'
import type { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'

/*
 * One value of a known field type:
 *
 *   u8 0                    null
 *   u8 1, then by type:
 *     bool                  u8 0 | 1
 *     int32, timestamp      svarint
 *     int64                 8 bytes little-endian two's complement
 *     float32, float64      f64 (−0 is stored as 0)
 *     string, enum          varint length, UTF-8
 *     bytes                 varint length, bytes
 *     vector                f32 each
 */
export function writeValue(type: FieldType, value: Value, writer: ByteWriter): void {
  if (value === null) return writer.u8(0)
  writer.u8(1)
  switch (type.kind) {
    case 'bool':
      return writer.u8(value === true ? 1 : 0)
    case 'int32':
    case 'timestamp':
      return writer.svarint(Number(value))
    case 'int64':
      return writer.i64(BigInt(value as bigint))
    case 'float32':
    case 'float64':
      return writer.f64(Number(value) + 0)
    case 'string':
    case 'enum':
      return writer.string(value as string)
    case 'bytes':
      return writer.blob(value as Uint8Array)
    case 'vector':
      for (const item of value as Float32Array) writer.f32(item + 0)
  }
}

export function readValue(type: FieldType, reader: ByteReader): Value {
  if (reader.u8() === 0) return null
  switch (type.kind) {
    case 'bool':
      return reader.u8() === 1
    case 'int32':
    case 'timestamp':
      return reader.svarint()
    case 'int64':
      return reader.i64()
    case 'float32':
    case 'float64':
      return reader.f64()
    case 'string':
    case 'enum':
      return reader.string()
    case 'bytes':
      return reader.blob().slice()
    case 'vector':
      return Float32Array.from({ length: type.length }, () => reader.f32())
  }
}
