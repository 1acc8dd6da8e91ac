import { invariant } from '../errors/tidemark-error.ts'
import { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { StateParts } from './state-parts.ts'
import { tileOf } from './track-cells.ts'
import type { EntityState, TrackCells } from './track-cells.ts'

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

/** `sealed` null: the one last encoded, stored apart. */
export function encodeOpen(
  tracks: readonly TrackCells[],
  entity: EntityState,
  sealed: Uint8Array | null,
  writer: ByteWriter,
): Uint8Array {
  const sealedBytes = sealed === null ? entity.sealedBytes : sealed.length
  writer.reset()
  writer.u8(FORMAT)
  invariant(entity.newestTau !== -Infinity, 'an entity without events has no encoded state')
  writer.svarint(entity.newestTau)
  writer.varint(sealedBytes)
  tracks.forEach(({ columns }, number) => {
    const { cells } = entity.tracks[number]
    const newest = cells[cells.length - 1]
    for (const column of columns) column.encode(newest, writer)
  })
  if (sealed !== null && sealedBytes <= SEALED_INLINE_BYTES_MAX) writer.raw(sealed)
  return writer.finish()
}

/** Empty where no track has an older tile. */
export function encodeSealed(tracks: readonly TrackCells[], entity: EntityState, writer: ByteWriter): Uint8Array {
  writer.reset()
  if (entity.tracks.every(({ tiles }) => tiles.length <= 1)) return writer.finish()
  tracks.forEach(({ track, columns }, number) => {
    if (track.hopMs === Infinity) return
    const { tiles, cells } = entity.tracks[number]
    const count = tiles.length - 1
    writer.varint(count)
    for (let i = 0; i < count; i++) {
      if (i === 0) writer.svarint(tiles[0])
      else writer.varint(tiles[i] - tiles[i - 1])
    }
    for (const column of columns) for (let i = 0; i < count; i++) column.encode(cells[i], writer)
  })
  return writer.finish()
}

/** Into an entity without tiles. Throws RangeError on parts that were not encoded together. */
export function decodeParts(tracks: readonly TrackCells[], entity: EntityState, { open, sealed }: StateParts): void {
  const reader = new ByteReader(open)
  const format = reader.u8()
  if (format !== FORMAT) throw new RangeError(`state format ${format}, expected ${FORMAT}`)
  entity.newestTau = reader.svarint()
  entity.sealedBytes = reader.varint()
  entity.sealedApart = entity.sealedBytes > SEALED_INLINE_BYTES_MAX
  if (entity.sealedApart && sealed?.length !== entity.sealedBytes)
    throw new RangeError(`sealed part of ${entity.sealedBytes} bytes expected, found ${sealed?.length ?? 'none'}`)
  decodeOpen(tracks, entity, reader)
  if (entity.sealedApart && sealed !== null) decodeSealed(tracks, entity, new ByteReader(sealed))
  else if (entity.sealedBytes > 0) decodeSealed(tracks, entity, reader)
  if (reader.remaining !== 0) throw new RangeError(`${reader.remaining} bytes after the end of a state`)
}

function decodeOpen(tracks: readonly TrackCells[], entity: EntityState, reader: ByteReader): void {
  tracks.forEach((trackCells, number) => {
    const { tiles, cells } = entity.tracks[number]
    const cell = trackCells.take()
    tiles.push(tileOf(entity.newestTau, trackCells.track.hopMs))
    cells.push(cell)
    for (const column of trackCells.columns) column.decode(cell, reader)
  })
}

function decodeSealed(tracks: readonly TrackCells[], entity: EntityState, reader: ByteReader): void {
  tracks.forEach((trackCells, number) => {
    if (trackCells.track.hopMs === Infinity) return
    const { tiles, cells } = entity.tracks[number]
    const count = reader.varint()
    if (count > reader.remaining) throw new RangeError(`state with ${count} tiles in ${reader.remaining} bytes`)
    const newest = tiles.pop() ?? 0
    const newestCell = cells.pop() ?? 0
    for (let i = 0; i < count; i++) {
      tiles.push(i === 0 ? reader.svarint() : tiles[i - 1] + reader.varint())
      cells.push(trackCells.take())
    }
    for (const column of trackCells.columns) for (let i = 0; i < count; i++) column.decode(cells[i], reader)
    if (count > 0 && tiles[count - 1] >= newest) throw new RangeError('sealed tiles reach beyond the newest τ')
    tiles.push(newest)
    cells.push(newestCell)
  })
  if (reader.remaining !== 0) throw new RangeError(`${reader.remaining} bytes after the end of a sealed part`)
}
