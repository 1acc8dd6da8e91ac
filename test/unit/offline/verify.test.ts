import assert from 'node:assert/strict'
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { resultValue } from '../../../features/aggregation/result-column.ts'
import type { CompiledView } from '../../../features/kernel/compiled-view.ts'
import type { StateParts } from '../../../features/kernel/state-parts.ts'
import { StateTable } from '../../../features/kernel/state-table.ts'
import { createResultColumns, ViewKernel } from '../../../features/kernel/view-kernel.ts'
import { bucketOf } from '../../../features/values/entity-key.ts'
import { valueToJson } from '../../../features/values/json-values.ts'
import { encodeCell } from '../../../features/values/value-bytes.ts'
import { appendServed } from '../../../inference/served-log.ts'
import { encodeServedRow, servedRow } from '../../../inference/served-record.ts'
import type { ServedRow } from '../../../inference/served-record.ts'
import { verifyServed } from '../../../offline/verify.ts'
import type { VerifyReport } from '../../../offline/verify.ts'
import { Registry } from '../../../registry/registry.ts'
import { openLmdbLog } from '../../../stores/log/lmdb/open.ts'
import { openSqliteMetadata } from '../../../stores/metadata/sqlite/open.ts'
import { openFileObjects } from '../../../stores/objects/files/open.ts'
import { openTables } from '../../../stores/tables/open-tables.ts'
import { hasErrorCode } from '../../support/folders.ts'
import { Platform } from '../../support/platform.ts'
import { PAYMENTS } from '../../support/project.ts'
import { Random, runSeed } from '../../support/random.ts'

const ENTITIES = ['a', 'b', 'c', 'nobody'].map((card_id) => ({ card_id }))
const REQUESTS = ENTITIES.map(() => ({ amount: 2.5 }))
const NOW = Date.UTC(2024, 5, 1)

async function filled(context: TestContext, name: string): Promise<Platform> {
  const random = new Random(runSeed(name))
  const platform = await Platform.open(context, PAYMENTS, { now: NOW, partitions: 1 })
  for (let round = 0; round < 4; round++) {
    await platform.send(
      'payments',
      Array.from({ length: 30 }, () => ({
        card_id: random.pick(['a', 'b', 'c']),
        merchant: random.pick(['m', 'n', null]),
        amount: 1 + random.below(1000) / 7,
        paid_at: platform.clock.ms - random.below(7_200_000),
      })),
    )
    platform.clock.ms += 60_000
  }
  return platform
}

function causes(report: VerifyReport): Set<string> {
  return new Set(report.mismatches.map(({ cause }) => cause))
}

/** The state with one bit flipped: the last that leaves a state which can be decoded and gives other values. */
function flipped(view: CompiledView, { open, sealed }: StateParts, t: number): StateParts {
  const table = new StateTable(new ViewKernel(view))
  const slot = table.open()
  const valuesOf = (state: StateParts): string => {
    table.decode(slot, state)
    const out = createResultColumns(view, 1)
    table.evaluate(slot, t, out, 0)
    return out.map((column) => valueToJson(resultValue(column, 0))).join()
  }
  const expected = valuesOf({ open, sealed })
  for (let bit = open.length * 8 - 1; bit >= 0; bit--) {
    const changed = { open: Uint8Array.from(open), sealed: sealed === null ? null : Uint8Array.from(sealed) }
    changed.open[bit >> 3] ^= 1 << (bit & 7)
    try {
      if (valuesOf(changed) !== expected) return changed
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
    }
  }
  throw new Error('no bit of the state changes a value')
}

/** A served row of card a, changed before it is logged. */
async function logChanged(platform: Platform, change: (row: ServedRow) => ServedRow): Promise<void> {
  const service = await platform.context.registry.service('fraud')
  const [vector] = await platform.reader.read(service, [ENTITIES[0]], [REQUESTS[0]])
  await appendServed(platform.context.log, [change(servedRow(vector, 'changed', 0))])
}

test('all match, feature by feature; sample and since choose; small batches give the same report', async (context) => {
  const platform = await filled(context, 'verify')
  await platform.read('fraud', ENTITIES, REQUESTS)
  const middle = platform.clock.ms
  await platform.read('fraud', ENTITIES.slice(0, 2), REQUESTS.slice(0, 2))
  const report = await verifyServed(platform.context)
  assert.deepEqual([report.rows, report.values, report.pending, report.mismatchCount], [6, 42, 0, 0])
  assert.deepEqual(report.features.card_spend__spend_24h, { matches: 6, mismatches: 0 })
  assert.equal(Object.keys(report.features).length, 7)
  const progress: number[] = []
  assert.deepEqual(
    await verifyServed(platform.context, { batchRows: 2, onProgress: (rows) => progress.push(rows) }),
    report,
  )
  assert.deepEqual(progress, [2, 4, 6, 6])
  assert.equal((await verifyServed(platform.context, { sample: 2 })).rows, 2)
  assert.equal((await verifyServed(platform.context, { since: middle + 1 })).rows, 0)
  assert.equal((await verifyServed(platform.context, { since: middle })).rows, 6)
})

test('what is not archived yet is pending, not wrong', async (context) => {
  const platform = await filled(context, 'pending')
  await logChanged(platform, (row) => ({
    ...row,
    stamps: row.stamps.map((stamp) => ({ ...stamp, nextOffset: '1000000' })),
  }))
  const report = await verifyServed(platform.context)
  assert.deepEqual([report.rows, report.pending, report.mismatchCount], [0, 1, 0])
})

test('a flipped bit in a stored state is found and named, with the online store and without', async (context) => {
  const platform = await filled(context, 'flipped state')
  const { online, registry, buckets } = platform.context
  const [log] = await registry.keyedLogs()
  const key = new TextEncoder().encode('a')
  const view = log.views[0].version
  const bucket = { keyedLog: log.name, bucket: bucketOf(key, buckets) }
  const [{ marker, states }] = await online.read([{ ...bucket, keys: [{ view, key }] }])
  assert.ok(marker !== null && states[0] !== null)
  const state = flipped(log.views[0], states[0], platform.clock.ms)
  const { epoch, views, nextOffset, origins } = marker
  const flush = { ...bucket, epoch, views, expectedOffset: nextOffset, nextOffset, origins }
  assert.deepEqual(await online.flush([{ ...flush, writes: [{ view, key, state }] }]), ['applied'])
  await platform.read('fraud', ENTITIES, REQUESTS)
  const report = await verifyServed(platform.context)
  assert.ok(report.mismatchCount > 0)
  for (const cause of causes(report))
    assert.match(cause, /^the stored state differs: the one in bucket \d+|^derived from/)
  const [first] = report.mismatches
  assert.notEqual(first.served, first.recomputed)
  assert.match(first.served, / (PRESENT|EMPTY_WINDOW|INVALID)$/)
  const alone = await verifyServed({ ...platform.context, online: undefined })
  assert.equal(alone.mismatchCount, report.mismatchCount)
  for (const cause of causes(alone))
    assert.match(cause, /^the stored state it was computed from differed|^derived from/)
})

test('a flipped bit anywhere in an archive file is found, and the file named', { timeout: 60_000 }, async (context) => {
  const random = new Random(runSeed('flipped archive'))
  const platform = await filled(context, 'flipped archive')
  await platform.read('fraud', ENTITIES, REQUESTS)
  const files = globSync('archive/**/*.parquet', { cwd: join(platform.directory, '.tidemark/objects') })
  assert.ok(files.length > 0)
  for (let round = 0; round < 12; round++) {
    const name = random.pick(files)
    const path = join(platform.directory, '.tidemark/objects', name)
    const bytes = readFileSync(path)
    const flipped = Buffer.from(bytes)
    flipped[random.below(bytes.length)] ^= 1 << random.below(8)
    writeFileSync(path, flipped)
    const report = await verifyServed(platform.context)
    const file = name.split('/').at(-1) ?? ''
    assert.ok(
      report.damaged.some((what) => what.includes(file)),
      `${file}: ${JSON.stringify(report.damaged)}`,
    )
    assert.ok([...causes(report)].every((cause) => cause.includes(file)))
    assert.ok(report.mismatchCount >= 3)
    writeFileSync(path, bytes)
  }
  assert.deepEqual((await verifyServed(platform.context)).damaged, [])
})

test('a missing file at the end of a partition is found by verify, by an export and by a backfill', async (context) => {
  const platform = await filled(context, 'missing file')
  await platform.read('fraud', ENTITIES, REQUESTS)
  const folder = join(platform.directory, '.tidemark/objects')
  const files = globSync('archive/**/*.parquet', { cwd: folder }).sort()
  assert.ok(files.length > 1)
  const last = join(folder, files[files.length - 1])
  const bytes = readFileSync(last)
  rmSync(last)
  const report = await verifyServed(platform.context)
  assert.deepEqual([report.rows, report.mismatchCount, report.damaged.length], [0, 4, 1])
  assert.match(report.damaged[0], /ends at offset \d+, but had been written up to \d+: files are missing/)
  const spine = [{ card_id: 'a', amount: 1, timestamp: NOW }]
  await assert.rejects(platform.export('fraud', spine), hasErrorCode('TM_ARCHIVE_DAMAGED'))
  // A new version of the view replays the archive: what is missing stops it, rather than being left out.
  await platform.context.registry.apply(platform.define(PAYMENTS.replace('> 0', '> 1')), platform.clock.ms)
  await assert.rejects(platform.settle(), hasErrorCode('TM_ARCHIVE_DAMAGED'))
  writeFileSync(last, bytes)
  await platform.settle()
  const [{ serving, registered }] = await platform.context.registry.serviceAliases()
  assert.equal(serving, registered)
  assert.deepEqual((await verifyServed(platform.context)).damaged, [])
})

test('a flipped bit in a record of the served log is found, and the record named', async (context) => {
  const platform = await filled(context, 'flipped record')
  const service = await platform.context.registry.service('fraud')
  const vectors = await platform.read('fraud', ENTITIES, REQUESTS)
  const bytes = encodeServedRow(servedRow(vectors[0], 'r', 0))
  bytes[bytes.length >> 1] ^= 4
  await platform.context.log.append('served', 0, [bytes])
  const report = await verifyServed(platform.context)
  assert.deepEqual([report.rows, report.mismatchCount], [4, 1])
  assert.match(report.mismatches[0].cause, /^record 4 of the served log is damaged/)
  assert.equal(service.plan.name, 'fraud')
})

test('other causes are named: events, evaluation time, derived function, a record that contradicts itself', async (context) => {
  const platform = await filled(context, 'causes')
  const service = await platform.context.registry.service('fraud')
  const [old] = await platform.reader.read(service, [ENTITIES[0]], [REQUESTS[0]])
  const before = servedRow(old, 'before', 0)
  await platform.send('payments', [{ card_id: 'a', merchant: 'm', amount: 5000, paid_at: platform.clock.ms - 1 }])
  platform.clock.ms += 1
  const now = platform.clock.ms
  // The values from before the event, under a stamp that says it had been seen.
  await logChanged(platform, (row) => ({ ...row, cells: before.cells, requestId: 'stale' }))
  // The values of an hour later, in which the window of an hour is emptier.
  platform.clock.ms = now + 3_600_000
  const [late] = await platform.reader.read(service, [ENTITIES[0]], [REQUESTS[0]])
  platform.clock.ms = now
  await logChanged(platform, (row) => ({ ...row, cells: servedRow(late, 'late', 0).cells, requestId: 'late' }))
  const change = (cell: number) => (row: ServedRow) => ({
    ...row,
    requestId: `cell ${cell}`,
    cells: row.cells.map((bytes, c) => (c === cell ? encodeCell(1e9, 'PRESENT') : bytes)),
  })
  await logChanged(platform, change(5))
  await logChanged(platform, change(6))
  const report = await verifyServed({ ...platform.context, online: undefined })
  const causeOf = (id: string): string =>
    [
      ...new Set(
        report.mismatches
          .filter(({ requestId, feature }) => requestId === id && feature !== 'amount_vs_mean')
          .map(({ cause }) => cause),
      ),
    ].join(' | ')
  assert.match(causeOf('stale'), /^other events than its stamp says: these are the bits without the entity's last 1 of/)
  assert.match(causeOf('late'), /^another evaluation time: these are the bits 3600000 ms after/)
  assert.match(causeOf('cell 5'), /^the record contradicts itself/)
  const derived = report.mismatches.find(({ requestId }) => requestId === 'cell 6')
  assert.match(derived?.cause ?? '', /^the derived function gave another value/)
})

test('another definition is named: the bits of another registered version of the view', async (context) => {
  const platform = await filled(context, 'other version')
  await platform.apply(PAYMENTS.replace('e.amount > 0', 'e.amount > 50'))
  await platform.settle()
  const service = await platform.context.registry.service('fraud')
  const [vector] = await platform.reader.read(service, [ENTITIES[0]], [REQUESTS[0]])
  const row = servedRow(vector, 'new', 0)
  // The stamp and the service of the old version over the values of the new one.
  const { db } = platform.context.metadata
  const versions = await db.selectFrom('versions').selectAll().where('kind', 'in', ['view', 'service']).execute()
  const olderView = versions.find(({ kind, version }) => kind === 'view' && version !== row.stamps[0].version)
  const olderService = versions.find(({ kind, version }) => kind === 'service' && version !== row.serviceVersion)
  assert.ok(olderView !== undefined && olderService !== undefined)
  const stamps = [{ ...row.stamps[0], version: olderView.version }]
  await appendServed(platform.context.log, [{ ...row, serviceVersion: olderService.version, stamps }])
  const report = await verifyServed({ ...platform.context, online: undefined })
  assert.ok(report.mismatchCount > 0)
  for (const cause of causes(report))
    assert.ok(
      cause.startsWith(`another definition served it: these are the bits of version ${row.stamps[0].version}`) ||
        cause.startsWith('derived from'),
      cause,
    )
})

test('another process verifies with the registry, the archive and the log alone', async (context) => {
  const platform = await filled(context, 'elsewhere')
  await platform.read('fraud', ENTITIES, REQUESTS)
  const report = await verifyServed(platform.context)
  await platform.restart()
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-test-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  for (const store of ['metadata.sqlite', 'objects', 'log'])
    cpSync(join(platform.directory, '.tidemark', store), join(folder, store), { recursive: true })
  const log = await openLmdbLog({ path: join(folder, 'log'), now: () => NOW })
  const metadata = await openSqliteMetadata(join(folder, 'metadata.sqlite'))
  const objects = await openFileObjects({ path: join(folder, 'objects') })
  const tables = await openTables({ temporaryFolder: join(folder, 'duckdb') })
  const stores = [tables, log, metadata, objects]
  context.after(async () => {
    for (const store of stores) await store.close()
  })
  const registry = new Registry(metadata)
  assert.deepEqual(
    await verifyServed({ log, metadata, objects, tables, registry, buckets: platform.context.buckets, partitions: 1 }),
    report,
  )
  assert.deepEqual([report.rows, report.mismatchCount], [4, 0])
})
