import { invariant } from '../errors/tidemark-error.ts'
import { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { StateParts } from './state-parts.ts'
import { tileOf } from './track-cells.ts'
import type { TrackCells } from './track-cells.ts'

/*
 * An entity's state, packed in two parts (see state-parts.ts). The tile that holds the newest τ is in the open part, all others are in the sealed part:
 *
 *   open    u8      2 (format)
 *           svarint newest τ (ms) of the events that passed `where`
 *           varint  length of the sealed part in bytes, 0 where no track has an older tile
 *           per track, in order of hop (lifetime last), per slot: the canonical bytes of the cell of the tile at the newest τ
 *           the sealed part, if it has at most 256 bytes
 *
 *   sealed  per track but lifetime, in order of hop:
 *             varint  number of tiles
 *             svarint number of the first tile; then per further tile: varint difference to the one before
 *             per slot, per tile: the cell's canonical bytes
 *
 * Tiles are those that hold an event which passed `where` and that some window at t ≥ newest τ + 1 can still reach, so the bytes of both parts are a
 * function of the set of events applied. The tile at the newest τ is always among them.
 */
const FORMAT = 2
/** A sealed part up to this length is held by the open part. */
export const SEALED_INLINE_BYTES_MAX = 256

/** An entity's state beside its tiles. */
export interface StateHeader {
  readonly newestTau: number
  /** Length of the sealed part. */
  readonly sealedBytes: number
}

/** `sealed` null: the one last encoded, of `sealedBytes`, stored apart. */
export function encodeOpen(
  tracks: readonly TrackCells[],
  entity: number,
  { newestTau, sealedBytes, sealed }: StateHeader & { readonly sealed: Uint8Array | null },
  writer: ByteWriter,
): Uint8Array {
  writer.reset()
  writer.u8(FORMAT)
  invariant(newestTau !== -Infinity, 'an entity without events has no encoded state')
  writer.svarint(newestTau)
  writer.varint(sealedBytes)
  for (const { rings, columns } of tracks) {
    const newest = rings.cell(entity, rings.count(entity) - 1)
    for (const column of columns) column.encode(newest, writer)
  }
  if (sealed !== null && sealedBytes <= SEALED_INLINE_BYTES_MAX) writer.raw(sealed)
  return writer.finish()
}

/** Empty where no track has an older tile. */
export function encodeSealed(tracks: readonly TrackCells[], entity: number, writer: ByteWriter): Uint8Array {
  writer.reset()
  if (tracks.every(({ rings }) => rings.count(entity) <= 1)) return writer.finish()
  for (const trackCells of tracks) {
    const { track, rings } = trackCells
    if (track.hopMs === Infinity) continue
    const count = rings.count(entity) - 1
    writer.varint(count)
    let before = 0
    for (let i = 0; i < count; i++) {
      const tile = rings.tile(entity, i)
      if (i === 0) writer.svarint(tile)
      else writer.varint(tile - before)
      before = tile
    }
    trackCells.encodeOldest(entity, count, writer)
  }
  return writer.finish()
}

/** The newest τ of a stored state. RangeError on an open part of another format. */
export function storedNewestTau(open: Uint8Array): number {
  const reader = new ByteReader(open)
  const format = reader.u8()
  if (format !== FORMAT) throw new RangeError(`state format ${format}, expected ${FORMAT}`)
  return reader.svarint()
}

/** Into an entity without tiles. Throws RangeError on parts that were not encoded together. */
export function decodeParts(tracks: readonly TrackCells[], entity: number, { open, sealed }: StateParts): StateHeader {
  const reader = new ByteReader(open)
  const format = reader.u8()
  if (format !== FORMAT) throw new RangeError(`state format ${format}, expected ${FORMAT}`)
  const header = { newestTau: reader.svarint(), sealedBytes: reader.varint() }
  const sealedApart = header.sealedBytes > SEALED_INLINE_BYTES_MAX
  if (sealedApart && sealed?.length !== header.sealedBytes)
    throw new RangeError(`sealed part of ${header.sealedBytes} bytes expected, found ${sealed?.length ?? 'none'}`)
  for (const trackCells of tracks) {
    const cell = trackCells.append(entity, tileOf(header.newestTau, trackCells.track.hopMs))
    for (const column of trackCells.columns) column.decode(cell, reader)
  }
  if (sealedApart && sealed !== null) decodeSealed(tracks, entity, new ByteReader(sealed))
  else if (header.sealedBytes > 0) decodeSealed(tracks, entity, reader)
  if (reader.remaining !== 0) throw new RangeError(`${reader.remaining} bytes after the end of a state`)
  return header
}

/** Below the tile of the newest τ, which each track has. */
function decodeSealed(tracks: readonly TrackCells[], entity: number, reader: ByteReader): void {
  for (const trackCells of tracks) {
    if (trackCells.track.hopMs === Infinity) continue
    const { rings, columns } = trackCells
    const count = reader.varint()
    if (count > reader.remaining) throw new RangeError(`state with ${count} tiles in ${reader.remaining} bytes`)
    let tile = 0
    for (let i = 0; i < count; i++) {
      tile = i === 0 ? reader.svarint() : tile + reader.varint()
      trackCells.insert(entity, i, tile)
    }
    for (const column of columns) for (let i = 0; i < count; i++) column.decode(rings.cell(entity, i), reader)
    if (count > 0 && tile >= rings.tile(entity, count)) throw new RangeError('sealed tiles reach beyond the newest τ')
  }
  if (reader.remaining !== 0) throw new RangeError(`${reader.remaining} bytes after the end of a sealed part`)
}
