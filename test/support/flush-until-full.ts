import { storeFailure } from '../../stores/store-failure.ts'
import { openLmdbLog } from '../../stores/log/lmdb/open.ts'
import { openLmdbOnline } from '../../stores/online/lmdb/open.ts'

/** `flush-until-full FOLDER FLUSHES`: flushes three buckets and appends, as often or until the disk takes no more; prints what was acknowledged, and what is there then. */
const BUCKETS = [0, 1, 2]
const KEYS = 50
const VIEW = 'ab'.repeat(32)

const [folder, times] = process.argv.slice(2)
const online = await openLmdbOnline({ path: `${folder}/online`, now: () => 1 })
const log = await openLmdbLog({ path: `${folder}/log`, now: () => 1 })
await log.createTopic('t', { partitions: 1 })
const codes: (string | null)[] = []

async function untilFull(change: () => Promise<void>): Promise<void> {
  try {
    for (let n = 0; n < Number(times); n++) await change()
  } catch (error) {
    codes.push(storeFailure(error)?.code ?? String(error))
  }
}

const markers = await online.claim('l', BUCKETS, { incarnation: 'i', views: 'v' })
let flushed = markers[0].nextOffset
await untilFull(async () => {
  const flushes = BUCKETS.map((bucket, i) => ({
    keyedLog: 'l',
    bucket,
    epoch: markers[i].epoch,
    views: markers[i].views,
    expectedOffset: flushed,
    nextOffset: flushed + 1,
    origins: new Uint8Array(3),
    writes: Array.from({ length: KEYS }, (_, key) => ({
      view: VIEW,
      key: Buffer.from(`${flushed}-${key}`),
      state: { open: Buffer.alloc(200, flushed), sealed: null },
    })),
  }))
  const outcomes = await online.flush(flushes)
  if (outcomes.some((outcome) => outcome !== 'applied')) throw new Error(outcomes.join())
  flushed++
})
let appended = await log.endOffset('t', 0)
await untilFull(async () => {
  await log.append('t', 0, [Buffer.alloc(5000, appended), Buffer.alloc(100, appended)])
  appended += 2
})
const offsets = (await online.markers('l', BUCKETS)).map((marker) => marker?.nextOffset ?? null)
let states = 0
for (const bucket of BUCKETS)
  for await (const { key, state } of online.scan({ keyedLog: 'l', bucket }, VIEW)) {
    const [n] = Buffer.from(key).toString().split('-')
    if (Buffer.from(state.open).equals(Buffer.alloc(200, Number(n)))) states++
  }
let records = 0
for (let next = 0; ;) {
  const read = await log.read('t', 0, next, 1 << 20)
  if (read.length === 0) break
  for (const { offset, value } of read) {
    next = offset + 1
    if (Buffer.from(value).every((byte) => byte === ((offset - (offset % 2)) & 0xff))) records++
  }
}
console.log(JSON.stringify({ codes, flushed, offsets, states: states / KEYS / BUCKETS.length, appended, records }))
await online.close()
await log.close()
