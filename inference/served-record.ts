import { crc32 } from 'node:zlib'
import type { Value } from '../features/plan/field-type.ts'
import { ByteReader } from '../features/values/byte-reader.ts'
import { ByteWriter } from '../features/values/byte-writer.ts'
import { decodeCell, decodeValue, encodeCell, encodeValue } from '../features/values/value-bytes.ts'
import type { ServedVector } from './served-vector.ts'
import type { Stamp } from './view-entry.ts'

/*
 * One served vector in the log:
 *
 *   u8      1 (format)
 *   string  request id, varint row within the request
 *   32 bytes service version
 *   svarint evaluatedAt (ms)
 *   varint  entity keys: each string name, value
 *   varint  request fields: each string name, value
 *   varint  stamps: each string view, 32 bytes view version, string incarnation, varint partition, varint nextOffset
 *   varint  cells, in vector order: each u8 status code, value
 *   u32     CRC-32 of everything before it
 *
 * Values are in canonical bytes (`features/values/value-bytes.ts`).
 */
const FORMAT = 1
const VERSION_BYTES = 32
const CRC_BYTES = 4

/** One served vector: what was asked for, what it was computed from, and its canonical bytes. */
export interface ServedRow {
  readonly requestId: string
  /** Its place in the request. */
  readonly row: number
  readonly serviceVersion: string
  readonly entity: Readonly<Record<string, Value>>
  readonly request: Readonly<Record<string, Value>>
  readonly evaluatedAt: number
  readonly stamps: readonly Stamp[]
  /** Canonical bytes of each cell, in vector order. */
  readonly cells: readonly Uint8Array[]
}

export function servedRow(vector: ServedVector, requestId: string, row: number): ServedRow {
  const { layout, keys, request } = vector.parts
  const { service } = layout
  const { statuses } = vector
  return {
    requestId,
    row,
    serviceVersion: service.version,
    entity: Object.fromEntries(layout.keys.map(({ name }, i) => [name, keys[i]])),
    request: Object.fromEntries(service.plan.request.map(({ name }, i) => [name, request[i]])),
    evaluatedAt: vector.evaluatedAt,
    stamps: vector.stamps,
    cells: vector.values.map((value, i) => encodeCell(value, statuses[i])),
  }
}

const writer = new ByteWriter(2048)

export function encodeServedRow(row: ServedRow): Uint8Array {
  writer.reset()
  writer.u8(FORMAT)
  writer.string(row.requestId)
  writer.varint(row.row)
  writer.raw(Buffer.from(row.serviceVersion, 'hex'))
  writer.svarint(row.evaluatedAt)
  writeNamed(row.entity)
  writeNamed(row.request)
  writer.varint(row.stamps.length)
  for (const stamp of row.stamps) {
    writer.string(stamp.view)
    writer.raw(Buffer.from(stamp.version, 'hex'))
    writer.string(stamp.incarnation)
    writer.varint(stamp.partition)
    writer.varint(Number(stamp.nextOffset))
  }
  writer.varint(row.cells.length)
  for (const cell of row.cells) writer.raw(cell)
  writer.u32(crc32(writer.bytes.subarray(0, writer.length)))
  return writer.finish()
}

function writeNamed(values: Readonly<Record<string, Value>>): void {
  const names = Object.keys(values)
  writer.varint(names.length)
  for (const name of names) {
    writer.string(name)
    encodeValue(values[name], writer)
  }
}

/** Null where the bytes are not what `encodeServedRow` wrote: any flipped bit is noticed. */
export function decodeServedRow(bytes: Uint8Array): ServedRow | null {
  const end = bytes.length - CRC_BYTES
  if (end < 1 || bytes[0] !== FORMAT) return null
  if (new ByteReader(bytes, end).u32() !== crc32(bytes.subarray(0, end))) return null
  try {
    return readRow(new ByteReader(bytes, 1, end))
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}

function readRow(reader: ByteReader): ServedRow {
  const requestId = reader.string()
  const row = reader.varint()
  const serviceVersion = readVersion(reader)
  const evaluatedAt = reader.svarint()
  const entity = readNamed(reader)
  const request = readNamed(reader)
  const stamps = Array.from({ length: reader.varint() }, () => ({
    view: reader.string(),
    version: readVersion(reader),
    incarnation: reader.string(),
    partition: reader.varint(),
    nextOffset: String(reader.varint()),
  }))
  const cells = Array.from({ length: reader.varint() }, () => {
    const from = reader.offset
    decodeCell(reader)
    return reader.bytes.slice(from, reader.offset)
  })
  return { requestId, row, serviceVersion, entity, request, evaluatedAt, stamps, cells }
}

function readVersion(reader: ByteReader): string {
  return Buffer.from(reader.raw(VERSION_BYTES)).toString('hex')
}

function readNamed(reader: ByteReader): Record<string, Value> {
  const values: Record<string, Value> = {}
  for (let left = reader.varint(); left > 0; left--) values[reader.string()] = decodeValue(reader)
  return values
}
