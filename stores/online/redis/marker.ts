import type { Marker } from '../online-store.ts'
import { failStore } from '../../errors.ts'

/*
 * A marker as it is stored, big-endian, so that scripts read and write it with Redis's `struct`:
 *
 *   u8 1 (format), u64 epoch, u64 nextOffset, u64 flush time (epoch ms), u64 revision, u16 length and views, u16 length and incarnation, then the origins
 */
const FORMAT = 1
const NUMBERS_END = 33

export function decodeMarker(bytes: Buffer, name: string): Marker {
  if (bytes[0] > FORMAT)
    throw failStore(
      'TM_DATA_NEWER',
      `${name} has format ${bytes[0]}, this version reads up to ${FORMAT}: upgrade, or use another Redis`,
    )
  try {
    if (bytes[0] !== FORMAT) throw new RangeError('no such format')
    const number = (at: number): number => Number(bytes.readBigUInt64BE(at))
    const viewsEnd = NUMBERS_END + 2 + bytes.readUInt16BE(NUMBERS_END)
    const incarnationEnd = viewsEnd + 2 + bytes.readUInt16BE(viewsEnd)
    if (incarnationEnd > bytes.length) throw new RangeError('cut short')
    return {
      epoch: number(1),
      incarnation: bytes.toString('utf8', viewsEnd + 2, incarnationEnd),
      views: bytes.toString('utf8', NUMBERS_END + 2, viewsEnd),
      nextOffset: number(9),
      origins: Uint8Array.from(bytes.subarray(incarnationEnd)),
      flushTime: number(17),
      revision: number(25),
    }
  } catch (cause) {
    throw failStore('TM_DATA_DAMAGED', `${name} is no marker: delete the keys of its bucket, and let it be rebuilt`, {
      cause,
    })
  }
}

/** Lua over the same bytes: `parse` gives a table or nil, `build` the bytes with the next revision. */
export const MARKER_LUA = `
local function parse(bytes)
  if not bytes then return nil end
  local epoch, nextOffset, time, revision, views, incarnation, at = struct.unpack('>I8I8I8I8I2c0I2c0', bytes, 2)
  return { epoch = epoch, nextOffset = nextOffset, time = time, revision = revision, views = views, incarnation = incarnation, origins = string.sub(bytes, at) }
end
local function build(m)
  return struct.pack('>BI8I8I8I8I2c0I2c0', 1, m.epoch, m.nextOffset, m.time, m.revision + 1, #m.views, m.views, #m.incarnation, m.incarnation) .. m.origins
end
`
