import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { archiveCandidates, archiveFiles } from '../../../stores/tables/archive-files.ts'
import { sqlText } from '../../../stores/tables/tables.ts'
import { columnValue } from '../../../features/values/column.ts'
import type { ArchiveFile } from '../../../stores/tables/archive-files.ts'
import { nextRun, CompactionRole } from '../../../streams/archive/compact-archive.ts'
import { IngestRole } from '../../../streams/ingest/ingest.ts'
import type { StreamContext } from '../../../streams/stream-context.ts'
import { STREAM_LIMITS } from '../../../streams/stream-limits.ts'
import { Platform } from '../../support/platform.ts'
import { Random, runSeed } from '../../support/random.ts'

const LARGE = { ...STREAM_LIMITS, messageBytesMax: 32 << 20 }
const NOW = Date.UTC(2024, 5, 1)
const DEFINITIONS = `
import { count, entity, featureService, featureView, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), amount: t.float64(), note: t.string().nullable(), at: t.timestamp() }, eventTime: 'at',
})
export const view = featureView('pay', { entity: card, from: payments,
  features: { n: count().over('1h'), total: sum('amount').over('lifetime') } })
export const service = featureService('svc', { features: [view.all()] })
`

interface Options {
  readonly wallClock?: () => number
  readonly graceMs?: number
}

function compaction(context: StreamContext, { wallClock = Date.now, graceMs = 0 }: Options = {}): CompactionRole {
  return new CompactionRole(context, { wallClock, graceMs })
}

async function place({ context }: Platform) {
  const topic = await context.log.topic('keyed.payments.card')
  return { keyedLog: 'payments.card', incarnation: topic?.incarnation ?? '', partition: 0 }
}

/** Hashes of the archived events in order, each with its position. */
async function archived({ context }: Platform, files: readonly ArchiveFile[]): Promise<string[]> {
  const paths = await Promise.all(files.map(({ name }) => context.objects.localPath(name)))
  const rows = `SELECT r, row_number() OVER () AS i FROM read_parquet([${paths.map(sqlText).join(', ')}]) AS r`
  const { columns } = await context.tables.queryAll(`SELECT md5(r::VARCHAR) AS r FROM (${rows}) ORDER BY i`, [
    { name: 'r', type: { kind: 'string' }, nullable: false, nonFinite: 'reject' },
  ])
  const events = files.reduce((sum, file) => sum + file.events, 0)
  const found = Array.from({ length: events }, (_, row) => String(columnValue(columns[0], row)))
  assert.equal(new Set(found).size, events, 'events are distinct, by their position')
  return found
}

async function archivedNow(platform: Platform): Promise<string[]> {
  return archived(platform, await archiveFiles(platform.context, await place(platform)))
}

/** So many archive files, of a few events each. */
async function openWithFiles(
  context: Parameters<typeof Platform.open>[0],
  files: number,
  random: Random = new Random(1),
): Promise<Platform> {
  const platform = await Platform.open(context, DEFINITIONS, { now: NOW, partitions: 1 })
  for (let i = 0; i < files; i++) await sendSome(platform, random)
  return platform
}

async function sendSome(platform: Platform, random: Random): Promise<void> {
  platform.clock.ms += random.below(2000)
  await platform.send(
    'payments',
    Array.from({ length: 1 + random.below(3) }, () => ({
      card_id: `c${random.below(3)}`,
      amount: random.pick([0.1, 1e16, -3]),
      note: random.pick([null, 'n']),
      at: platform.clock.ms - random.below(5000),
    })),
  )
}

test('compaction that is killed at random moments never repeats or loses an archived event, and settles at few files', async (context) => {
  const random = new Random(runSeed('compaction'))
  const platform = await openWithFiles(context, 18, random)
  for (let round = 0; round < 25; round++) {
    if (random.below(2) === 0) await sendSome(platform, random)
    const listed = await archiveFiles(platform.context, await place(platform))
    const before = await archived(platform, listed)
    try {
      await compaction(killable(platform.context, random)).runOnce()
    } catch (error) {
      assert.match(String(error), /killed/)
    }
    assert.deepEqual(await archivedNow(platform), before)
  }
  await compaction(platform.context).runOnce()
  const files = await archiveFiles(platform.context, await place(platform))
  assert.deepEqual(
    (await archiveCandidates(platform.context, await place(platform))).map(({ name }) => name).sort(),
    files.map(({ name }) => name).sort(),
    'what was replaced is gone',
  )
  assert.ok(files.length < 2 * 16, `${files.length} files`)
  assert.equal(nextRun(files), null)
  platform.clock.ms += 10_000
  await platform.settle()
  const spine = ['c0', 'c1', 'c2'].map((card_id) => ({ card_id, timestamp: platform.clock.ms - 1000 }))
  for (const [i, { values }] of (await platform.export('svc', spine)).rows.entries()) {
    const { cells } = await platform.readOne('svc', { card_id: spine[i].card_id })
    assert.equal(values.pay__total, cells.pay__total.value)
  }
  assert.deepEqual((await platform.verify()).mismatches, [])
})

function killable(context: StreamContext, random: Random): StreamContext {
  const kill = (moment: string): void => {
    if (random.below(5) === 0) throw new Error(`killed ${moment}`)
  }
  const objects = new Proxy(context.objects, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      if (name !== 'createFromFile' && name !== 'delete') return member.bind(target) as unknown
      return async (...args: unknown[]): Promise<unknown> => {
        kill(`before ${name}`)
        const result: unknown = await member.apply(target, args)
        kill(`after ${name}`)
        return result
      }
    },
  })
  return { ...context, objects }
}

test('a merged file has the same bytes whoever makes it', async (context) => {
  const platform = await openWithFiles(context, 16)
  const hashes = new Set<string>()
  for (let i = 0; i < 3; i++) {
    assert.equal(await compaction(platform.context, { graceMs: 1e9 }).runOnce(), 16)
    const [merged] = await archiveFiles(platform.context, await place(platform))
    assert.equal(merged.level, 1)
    const bytes = readFileSync(await platform.context.objects.localPath(merged.name))
    hashes.add(createHash('sha256').update(bytes).digest('hex'))
    await platform.context.objects.delete(merged.name)
  }
  assert.equal(hashes.size, 1)
})

test('replaced files stay readable for the grace, then go', async (context) => {
  const platform = await openWithFiles(context, 16)
  const listed = await archiveFiles(platform.context, await place(platform))
  let now = Date.now()
  const role = compaction(platform.context, { wallClock: () => now, graceMs: 60_000 })
  assert.equal(await role.runOnce(), 16)
  now += 50_000
  await role.runOnce()
  for (const { name } of listed) assert.ok((await platform.context.objects.read(name)) !== null, name)
  now += 20_000
  await role.runOnce()
  for (const { name } of listed) assert.equal(await platform.context.objects.read(name), null, name)
  assert.equal((await archiveFiles(platform.context, await place(platform))).length, 1)
})

test('neighbours of one level are merged, up to a size', () => {
  const file = (level: number, events: number, firstOffset: number): ArchiveFile => ({
    name: `${firstOffset}`,
    level,
    firstOffset,
    lastOffset: firstOffset,
    sizeBytes: events * 10,
    createdAtMs: 0,
    events,
    origins: '',
  })
  const run = (...files: [level: number, events: number][]): string | null =>
    nextRun(files.map(([level, events], i) => file(level, events, i)))
      ?.map(({ name }) => name)
      .join() ?? null
  const small = (level: number, count: number): [number, number][] => Array.from({ length: count }, () => [level, 10])
  assert.equal(run(...small(0, 15)), null)
  assert.equal(run(...small(0, 17)), '0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15')
  assert.equal(run(...small(1, 2), ...small(0, 16)), '2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17')
  assert.equal(run(...small(0, 10), ...small(1, 1), ...small(0, 10)), null)
  assert.equal(run([0, 400_000], [0, 400_000], [0, 400_000]), null)
  assert.equal(run([0, 900_000], ...small(0, 3), [0, 200_000]), '0,1,2,3')
  assert.equal(run(...Array.from({ length: 20 }, (): [number, number] => [0, 1_000_000])), null)
})

test('a crash between a file and the progress after it archives nothing twice, compacted meanwhile or not', async (context) => {
  for (const compacted of [false, true]) {
    const platform = await openWithFiles(context, 15)
    const { metadata } = platform.context
    await platform.produce('payments', [{ card_id: 'c0', amount: 7, note: null, at: NOW }])
    const write = metadata.writeProgress.bind(metadata)
    metadata.writeProgress = (scope, ...rest) =>
      scope === 'archive' ? Promise.reject(new Error('killed')) : write(scope, ...rest)
    await assert.rejects(platform.settle(), /killed/)
    metadata.writeProgress = write
    const before = await archivedNow(platform)
    if (compacted) assert.equal(await compaction(platform.context).runOnce(), 16)
    await platform.restart()
    await platform.settle()
    assert.deepEqual(await archivedNow(platform), before)
    await platform.send('payments', [{ card_id: 'c0', amount: 8, note: null, at: NOW }])
    assert.equal((await archivedNow(platform)).length, before.length + 1)
  }
})

test('a file takes what memory holds, not a number of events alone', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: NOW, partitions: 1 })
  platform.context = { ...platform.context, limits: LARGE }
  const note = 'x'.repeat(1 << 20)
  const events = Array.from({ length: 80 }, (_, i) => ({ card_id: 'c', amount: i, note, at: NOW }))
  for (let i = 0; i < events.length; i += 10) await platform.produce('payments', events.slice(i, i + 10))
  const ingest = new IngestRole(platform.context)
  while ((await ingest.runOnce()) > 0);
  await platform.settle()
  const files = await archiveFiles(platform.context, await place(platform))
  assert.ok(files.length === 2 && files[0].events < 80, `${files.length} files of ${files[0].events} events`)
  assert.equal((await archivedNow(platform)).length, 80)
})
