import { createHash } from 'node:crypto'
import { MARKER_LUA } from './marker.ts'

/** A Lua script and its SHA-1, by which servers that have it know it. */
export interface Script {
  readonly source: string
  readonly sha: string
}

/*
 * Each script changes one bucket, atomically. Whatever refuses comes first: a script that fails half-way is not rolled back. `unpack` takes some 8,000 values at most,
 * so that long lists go in pieces. A time given as '' is the server's own.
 */
const COMMON = `${MARKER_LUA}
local PIECE = 2000
local function clock(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function stamp(marker, settled, given)
  return math.max(marker and marker.time or 0, tonumber(redis.call('GET', settled) or '0'), clock(given))
end
local function inPieces(command, key, list)
  for from = 1, #list, PIECE do
    local to = math.min(from + PIECE - 1, #list)
    if key then redis.call(command, key, unpack(list, from, to)) else redis.call(command, unpack(list, from, to)) end
  end
end
`

function script(body: string): Script {
  const source = COMMON + body
  return { source, sha: createHash('sha1').update(source).digest('hex') }
}

/** KEYS live, dropping; ARGV incarnation, views. {0, marker, versions being deleted} or {1, incarnation found}. */
export const CLAIM = script(`
local live = parse(redis.call('GET', KEYS[1]))
if live and live.incarnation ~= ARGV[1] then return { 1, live.incarnation } end
if live then live.epoch = live.epoch + 1
else live = { epoch = 1, incarnation = ARGV[1], views = ARGV[2], nextOffset = 0, origins = '', time = 0, revision = 0 } end
local bytes = build(live)
redis.call('SET', KEYS[1], bytes)
return { 0, bytes, redis.call('SMEMBERS', KEYS[2]) }
`)

/**
 * KEYS live, own, index, parked, dropping; ARGV live epoch or '', version, incarnation, version in hex. {0, marker}, {1, incarnation found}, {2} where the live marker is another,
 * or {3} where states of earlier must be deleted first.
 */
export const CLAIM_BACKFILL = script(`
local live = parse(redis.call('GET', KEYS[1]))
local epoch = live and string.format('%.0f', live.epoch) or ''
if epoch ~= ARGV[1] then return { 2 } end
local own = parse(redis.call('GET', KEYS[2]))
if own and own.incarnation ~= ARGV[3] then return { 1, own.incarnation } end
if not own and redis.call('ZCARD', KEYS[3]) > 0 then
  redis.call('SADD', KEYS[5], ARGV[2])
  return { 3 }
end
if own then own.epoch = own.epoch + 1
else own = { epoch = 1, incarnation = ARGV[3], views = ARGV[4], nextOffset = 0, origins = '', time = 0, revision = 0 } end
local bytes = build(own)
redis.call('SET', KEYS[2], bytes)
redis.call('SADD', KEYS[4], ARGV[2])
redis.call('SREM', KEYS[5], ARGV[2])
return { 0, bytes }
`)

/**
 * KEYS marker, settled, versions, then per group: index, open keys to set, open keys to delete, sealed keys to set, sealed keys to delete; ARGV time, epoch, views, expected offset,
 * next offset, origins, then per group: version, bytes before the entity key in its keys, the four counts, values of the open keys, values of the sealed keys. The outcome's
 * number (see `open.ts`).
 */
export const FLUSH = script(`
local marker = parse(redis.call('GET', KEYS[1]))
if not marker or string.format('%.0f', marker.epoch) ~= ARGV[2] then return 1 end
if marker.views ~= ARGV[3] then return 2 end
if string.format('%.0f', marker.nextOffset) ~= ARGV[4] then return 3 end
local k, a = 4, 7
while a <= #ARGV do
  local prefix = tonumber(ARGV[a + 1])
  local opens, openDels, sealeds, sealedDels = tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5])
  local index = KEYS[k]
  local sets, scores, gone, members = {}, {}, {}, {}
  k = k + 1
  a = a + 6
  for i = 0, opens - 1 do
    local key = KEYS[k + i]
    sets[#sets + 1] = key
    sets[#sets + 1] = ARGV[a + i]
    scores[#scores + 1] = 0
    scores[#scores + 1] = string.sub(key, prefix + 1)
  end
  k = k + opens
  a = a + opens
  for i = 0, openDels - 1 do
    gone[#gone + 1] = KEYS[k + i]
    members[#members + 1] = string.sub(KEYS[k + i], prefix + 1)
  end
  k = k + openDels
  for i = 0, sealeds - 1 do
    sets[#sets + 1] = KEYS[k + i]
    sets[#sets + 1] = ARGV[a + i]
  end
  k = k + sealeds
  a = a + sealeds
  for i = 0, sealedDels - 1 do gone[#gone + 1] = KEYS[k + i] end
  k = k + sealedDels
  inPieces('MSET', nil, sets)
  inPieces('UNLINK', nil, gone)
  if #scores > 0 then
    inPieces('ZADD', index, scores)
    redis.call('SADD', KEYS[3], ARGV[a - opens - sealeds - 6])
  end
  inPieces('ZREM', index, members)
end
marker.time = stamp(marker, KEYS[2], ARGV[1])
marker.nextOffset = tonumber(ARGV[5])
marker.origins = ARGV[6]
redis.call('SET', KEYS[1], build(marker))
return 0
`)

/** KEYS live, own, parked, settled; ARGV time, live epoch or '', live views, own epoch, views, version. The outcome's number. */
export const JOIN = script(`
local live, own = parse(redis.call('GET', KEYS[1])), parse(redis.call('GET', KEYS[2]))
local epoch = live and string.format('%.0f', live.epoch) or ''
if not own or string.format('%.0f', own.epoch) ~= ARGV[4] or epoch ~= ARGV[2] then return 1 end
if live and live.views ~= ARGV[3] then return 2 end
local empty = not live or live.views == ''
if not empty and live.nextOffset ~= own.nextOffset then return 3 end
local time = stamp(live, KEYS[4], ARGV[1])
local joined = empty and own or live
joined.epoch = math.max(live and live.epoch or 0, own.epoch) + 1
joined.revision = math.max(live and live.revision or 0, own.revision)
joined.views = ARGV[5]
joined.time = time
redis.call('SET', KEYS[1], build(joined))
redis.call('DEL', KEYS[2])
redis.call('SREM', KEYS[3], ARGV[6])
return 0
`)

/** KEYS live, own, parked, settled; ARGV time, live epoch, live views, views, version, version in hex. The outcome's number. */
export const LEAVE = script(`
local live = parse(redis.call('GET', KEYS[1]))
if not live or string.format('%.0f', live.epoch) ~= ARGV[2] then return 1 end
if live.views ~= ARGV[3] then return 2 end
live.epoch = live.epoch + 1
local views, time = live.views, stamp(live, KEYS[4], ARGV[1])
live.views = ARGV[6]
redis.call('SET', KEYS[2], build(live))
redis.call('SADD', KEYS[3], ARGV[5])
live.views = ARGV[4]
live.time = time
redis.call('SET', KEYS[1], build(live))
return 0
`)

/** KEYS own, parked, dropping; ARGV epoch, version. The outcome's number; the states are for \`CLEAR\`. */
export const DROP = script(`
local own = parse(redis.call('GET', KEYS[1]))
if not own or string.format('%.0f', own.epoch) ~= ARGV[1] then return 1 end
redis.call('DEL', KEYS[1])
redis.call('SREM', KEYS[2], ARGV[2])
redis.call('SADD', KEYS[3], ARGV[2])
return 0
`)

/** KEYS dropping, index, versions; ARGV version, prefix of open keys, prefix of sealed keys, how many at most. 1: there is more. */
export const CLEAR = script(`
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 0 then return 0 end
local members = redis.call('ZRANGE', KEYS[2], 0, tonumber(ARGV[4]) - 1)
local gone = {}
for _, member in ipairs(members) do
  gone[#gone + 1] = ARGV[2] .. member
  gone[#gone + 1] = ARGV[3] .. member
end
inPieces('UNLINK', nil, gone)
inPieces('ZREM', KEYS[2], members)
if redis.call('ZCARD', KEYS[2]) > 0 then return 1 end
redis.call('SREM', KEYS[1], ARGV[1])
redis.call('SREM', KEYS[3], ARGV[1])
return 0
`)

/**
 * KEYS live, parked, dropping, versions, then the open and the sealed key of each write; ARGV expected offset or '', prefix of own markers, prefixes of the open keys, the sealed keys and the indexes
 * of the keyed log (a version follows), key to forget or '', 1 where there is one, then per write: version, entity key, 1 and open part or 0, 1 and sealed part or 0. {outcome's number, versions
 * whose states are for \`CLEAR\`}.
 */
export const REWRITE = script(`
local live = parse(redis.call('GET', KEYS[1]))
if (live and string.format('%.0f', live.nextOffset) or '') ~= ARGV[1] then return { 3, {} } end
local k, a = 5, 8
while a <= #ARGV do
  local version, key = ARGV[a], ARGV[a + 1]
  a = a + 2
  for part = 0, 1 do
    if ARGV[a] == '1' then
      redis.call('SET', KEYS[k + part], ARGV[a + 1])
      a = a + 2
    else
      redis.call('UNLINK', KEYS[k + part])
      if part == 0 then redis.call('ZREM', ARGV[5] .. version, key) end
      a = a + 1
    end
    if part == 0 and redis.call('EXISTS', KEYS[k]) == 1 then
      redis.call('ZADD', ARGV[5] .. version, 0, key)
      redis.call('SADD', KEYS[4], version)
    end
  end
  k = k + 2
end
local parked = redis.call('SMEMBERS', KEYS[2])
for _, version in ipairs(parked) do
  redis.call('DEL', ARGV[2] .. version)
  redis.call('SREM', KEYS[2], version)
  redis.call('SADD', KEYS[3], version)
end
if ARGV[7] == '1' then
  for _, version in ipairs(redis.call('SMEMBERS', KEYS[4])) do
    redis.call('UNLINK', ARGV[3] .. version .. ARGV[6], ARGV[4] .. version .. ARGV[6])
    redis.call('ZREM', ARGV[5] .. version, ARGV[6])
  end
end
if live then
  live.epoch = live.epoch + 1
  redis.call('SET', KEYS[1], build(live))
end
return { 0, parked }
`)

/** KEYS live, settled; ARGV time. {settled time, marker or nil}. */
export const SETTLE = script(`
local time = math.max(tonumber(redis.call('GET', KEYS[2]) or '0'), clock(ARGV[1]))
redis.call('SET', KEYS[2], string.format('%.0f', time))
return { string.format('%.0f', time), redis.call('GET', KEYS[1]) }
`)
