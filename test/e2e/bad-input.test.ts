import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { openClock } from '../../cli/simulated-clock.ts'
import { openLmdbLog } from '../../stores/log/lmdb/open.ts'
import { openSqliteMetadata } from '../../stores/metadata/sqlite/open.ts'
import { archiveFiles } from '../../stores/tables/archive-files.ts'
import { countDeadLetters } from '../../streams/dead-letters/dead-letter-counts.ts'
import { produce } from '../../streams/produce.ts'
import { tidemark, tidemarkAlone } from '../support/cli-process.ts'
import { hasErrorCode, temporaryFolder } from '../support/folders.ts'
import { Platform } from '../support/platform.ts'
import { PAYMENTS, temporaryProject } from '../support/project.ts'

const NOW = Date.UTC(2024, 5, 1)
const DEFINITIONS = `
import { count, entity, featureService, featureView, last, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), amount: t.float64(), number: t.int32().nullable(), big: t.int64().nullable(), ratio: t.float64().nonFinite('null'),
    note: t.string().nullable(), kind: t.enum('a', 'b').nullable(), constructor: t.string().nullable(), place: t.vector(2).nullable(), at: t.timestamp() },
  eventTime: 'at',
})
export const view = featureView('pay', { entity: card, from: payments,
  where: (e) => { if (e.amount === 666) throw new Error('user'); return true },
  features: { n: count().over('lifetime'), total: sum((e) => { if (e.amount === 13) throw new Error('user'); return e.amount }).over('lifetime'),
    big: last('big').over('lifetime') } })
export const service = featureService('svc', { features: [view.all()], derive: { bad: (f) => { if (f.pay__n > 0) throw new Error('user'); return 1 } } })
`
const GOOD = { card_id: 'c', amount: 1, at: NOW }
const line = (changes: object): string => JSON.stringify({ ...GOOD, ...changes })
/** JSON that JSON.stringify does not write. */
const raw = (text: string): string => `{"card_id":"c","amount":1,"at":${NOW},${text}}`

const REFUSED: readonly (readonly [what: string, event: string | Uint8Array, code: string])[] = [
  ['no JSON', 'nope', 'TM_EVENT_NOT_JSON'],
  ['JSON cut short', '{"card_id":"c"', 'TM_EVENT_NOT_JSON'],
  ['nesting without end', raw(`"x":${'['.repeat(50_000)}${']'.repeat(50_000)}`), 'TM_EVENT_NOT_JSON'],
  ['a list', '[1]', 'TM_EVENT_NOT_JSON'],
  ['null', 'null', 'TM_EVENT_NOT_JSON'],
  ['NaN', raw('"ratio":NaN'), 'TM_EVENT_NOT_JSON'],
  ['bytes that are not UTF-8', Uint8Array.from(Buffer.from('{"card_id":"\xff\xfe"}', 'latin1')), 'TM_EVENT_NOT_JSON'],
  ['a wrong type', line({ amount: '1' }), 'TM_EVENT_TYPE'],
  ['a boolean for a number', line({ amount: true }), 'TM_EVENT_TYPE'],
  ['a fraction for an int32', line({ number: 1.5 }), 'TM_EVENT_TYPE'],
  ['beyond int32', line({ number: 2 ** 31 }), 'TM_EVENT_TYPE'],
  ['beyond int64', raw('"big":9223372036854775808'), 'TM_EVENT_TYPE'],
  ['no value of an enum', line({ kind: 'c' }), 'TM_EVENT_TYPE'],
  ['a vector too short', line({ place: [1] }), 'TM_EVENT_TYPE'],
  ['a lone surrogate', raw('"note":"\\ud800"'), 'TM_EVENT_TYPE'],
  ['null where required', line({ amount: null }), 'TM_EVENT_NULL'],
  ['nothing where required', '{"card_id":"c"}', 'TM_EVENT_NULL'],
  ['a key by way of __proto__', `{"__proto__":{"card_id":"c"},"amount":1,"at":${NOW}}`, 'TM_EVENT_NULL'],
  ['an infinite number', line({ amount: 'Infinity' }), 'TM_EVENT_NON_FINITE'],
  ['1e999', raw('"amount":1e999'), 'TM_EVENT_NON_FINITE'],
  ['a time in words', line({ at: 'yesterday' }), 'TM_EVENT_TIME'],
  ['a time without a zone', line({ at: '2024-01-01T00:00:00' }), 'TM_EVENT_TIME'],
  ['the 30th of February', line({ at: '2024-02-30T00:00:00Z' }), 'TM_EVENT_TIME'],
  ['beyond the greatest time', line({ at: 8.64e15 + 1 }), 'TM_EVENT_TIME'],
  ['a fraction of a millisecond', line({ at: 1.5 }), 'TM_EVENT_TIME'],
  ['a key of 100 kB', line({ card_id: 'k'.repeat(100_000) }), 'TM_KEY_TOO_LONG'],
  ['larger than a message', line({ note: 'x'.repeat(2 << 20) }), 'TM_EVENT_TOO_LARGE'],
]
const TAKEN: readonly (readonly [what: string, event: string])[] = [
  ['before 1970', line({ at: -1e12 })],
  ['the least time', line({ at: -8.64e15 })],
  ['a key of the greatest length', line({ card_id: 'k'.repeat(1024) })],
  ['an empty key', line({ card_id: '' })],
  ['the greatest int64', raw('"big":9223372036854775807')],
  ['NaN as text, where the field says null', line({ ratio: 'NaN' })],
  ['a key twice: the last counts', raw('"note":"a","note":"b"')],
  ['fields that the schema does not know, nested deep', raw(`"x":${'['.repeat(500)}${']'.repeat(500)}`)],
  ['a long text', line({ note: 'x'.repeat(900_000) })],
]

test('each bad event is a dead letter with its code; its neighbours count, and status counts it', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: NOW + 1000 })
  let refused = 0
  let taken = 0
  for (const [what, event, code] of REFUSED) {
    const accepted = await produce(platform.context, 'payments', [line({}), event, line({})])
    assert.deepEqual(accepted, { accepted: 2, refused: 1, codes: { [code]: 1 } }, what)
    refused++
    taken += 2
  }
  for (const [what, event] of TAKEN) {
    assert.equal((await platform.produce('payments', [event])).accepted, 1, what)
    if (JSON.parse(event).card_id === 'c') taken++
  }
  await platform.settle()
  const counts = await countDeadLetters(platform.context, 'payments')
  assert.equal(counts.pending, refused)
  for (const code of new Set(REFUSED.map(([, , code]) => code)))
    assert.equal(counts.byCode[code], REFUSED.filter(([, , other]) => other === code).length, code)
  const { cells } = await platform.readOne('svc', { card_id: 'c' })
  assert.equal(cells.pay__n.value, taken)
  assert.equal(cells.pay__big.value, 2n ** 63n - 1n)
  assert.equal((await platform.readOne('svc', { card_id: '' })).cells.pay__n.value, 1)
  assert.deepEqual((await platform.verify()).mismatches, [])
})

test('a user function that throws leaves the event out, or the value null, or the derived value INVALID, everywhere alike', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: NOW + 1000 })
  await platform.send('payments', [line({}), line({ amount: 666 }), line({ amount: 13 })])
  const { cells, vector } = await platform.readOne('svc', { card_id: 'c' })
  assert.equal(cells.pay__n.value, 2)
  assert.equal(cells.pay__total.value, 1)
  assert.deepEqual(cells.bad, { value: null, status: 'INVALID' })
  platform.clock.ms += 5000
  await platform.settle()
  const { rows } = await platform.export('svc', [
    { card_id: 'c', timestamp: vector.evaluatedAt + 1 },
    { card_id: 'c', timestamp: 5 },
  ])
  assert.deepEqual(
    rows.map(({ values }) => [values.pay__n, values.pay__total, values.bad]),
    [
      [2, 1, null],
      [0, null, 1],
    ],
    'a row before the first event sees none',
  )
  assert.deepEqual((await platform.verify()).mismatches, [])
})

test('imported rows that cannot be taken in are dead letters with their row', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: NOW + 1000 })
  const { place: _, ...rest } = { place: null, number: 1, big: 1, ratio: 1, note: 'n', kind: 'a', constructor: 'x' }
  const row = { ...GOOD, ...rest, place: [1, 2] }
  const result = await platform.import('payments', [
    row,
    { ...row, kind: 'z' },
    { ...row, amount: null },
    { ...row, at: NOW + 5000 },
    { ...row, card_id: 'k'.repeat(2000) },
    { ...row, at: 9e15 },
  ])
  assert.deepEqual(result, {
    accepted: 1,
    refused: 5,
    codes: { TM_EVENT_TYPE: 1, TM_EVENT_NULL: 1, TM_ARRIVAL_FUTURE: 1, TM_KEY_TOO_LONG: 1, TM_EVENT_TIME: 1 },
  })
})

const HEADER = 'card_id,merchant,amount,paid_at'
const FILES: Readonly<Record<string, string>> = {
  'empty.csv': '',
  'ragged.csv': `${HEADER}\na,,1\nb,,1,2024-01-01T00:00:00Z,7,8\n`,
  'type.csv': `${HEADER}\na,,x,2024-01-01T00:00:00Z\n`,
  'cut.parquet': 'PAR1 and no more',
  'lines.jsonl': 'nope\n',
  'spine-type.csv': 'card_id,timestamp,amount\na,not a time,1\n',
  'spine-time.csv': 'card_id,timestamp,amount\na,,1\n',
  'spine-key.csv': 'timestamp,amount\n1,1\n',
  'spine-late.csv': 'card_id,timestamp,amount\na,2099-01-01T00:00:00Z,1\n',
  'spine.csv': '\ufeffcard_id,timestamp,amount\r\n"a,""b""",1,1\r\n',
}
const COMMANDS: readonly (readonly [args: readonly string[], exit: number, code: string])[] = [
  [['import', 'payments', 'none.csv'], 1, 'TM_FILE_MISSING'],
  [['import', 'payments', 'empty.csv'], 1, 'TM_FILE_UNREADABLE'],
  [['import', 'payments', 'ragged.csv'], 1, 'TM_FILE_UNREADABLE'],
  [['import', 'payments', 'type.csv'], 1, 'TM_COLUMN_TYPE'],
  [['import', 'payments', 'cut.parquet'], 1, 'TM_FILE_UNREADABLE'],
  [['import', 'nothing', 'type.csv'], 1, 'TM_UNKNOWN_SOURCE'],
  [['produce', 'payments', 'none.jsonl'], 1, 'TM_FILE_MISSING'],
  [['produce', 'payments', 'features'], 1, 'TM_FILE_UNREADABLE'],
  [['produce', 'payments', 'lines.jsonl'], 1, '1 refused (TM_EVENT_NOT_JSON 1)'],
  [['export', 'fraud', '--spine', 'spine-type.csv', '--out', 'out.csv'], 1, 'TM_SPINE_COLUMN'],
  [['export', 'fraud', '--spine', 'spine-time.csv', '--out', 'out.csv'], 1, 'TM_SPINE_COLUMN'],
  [['export', 'fraud', '--spine', 'spine-key.csv', '--out', 'out.csv'], 1, 'TM_SPINE_COLUMN'],
  [['export', 'fraud', '--spine', 'spine-late.csv', '--out', 'out.csv'], 1, 'TM_SPINE_TOO_LATE'],
  [['export', 'fraud', '--spine', 'spine.csv', '--out', 'out.xlsx'], 1, 'TM_EXPORT_FORMAT'],
  [['export', 'fraud', '--spine', 'spine.csv', '--out', 'out.csv'], 0, 'Wrote 1 row'],
  [['get', 'fraud', 'amount=1'], 1, 'TM_ENTITY_KEY'],
  [['get', 'fraud', 'card_id=a', 'amount=x'], 1, 'TM_REQUEST_FIELD'],
  [['get', 'fraud', 'card_id=a', 'amount=1', 'amount=2'], 2, 'amount is given twice'],
  [['--project', '/no/such/folder', 'status'], 1, 'TM_PROJECT_MISSING'],
  [['--project', 'type.csv', 'apply'], 1, 'TM_PROJECT_MISSING'],
  [['dead-letters', 'drop', '--limit', 'x'], 2, 'TM_USAGE'],
  [['dead-letters', 'drop'], 2, 'TM_USAGE: this would drop every dead letter (1 now)'],
  [['dead-letters', 'drop', '--code', 'TM_EVENT_TYPE'], 0, '0 dropped'],
  [['dead-letters', 'drop', '--all'], 0, '1 dropped'],
  [['dead-letters', 'drop'], 0, '0 dropped'],
  [['export', 'fraud'], 2, 'required option'],
]

test(
  'a bad file or argument is one message with a code, and the exit code of the contract',
  { timeout: 300_000 },
  async (context) => {
    const project = temporaryProject(context, { 'features/card.ts': PAYMENTS, ...FILES })
    assert.equal((await tidemark(project, 'apply')).code, 0)
    for (const [args, exit, expected] of COMMANDS) {
      const placed = args.map((arg) => (/\.\w+$|^features$/.test(arg) ? join(project, arg) : arg))
      const { code, stdout, stderr } = await tidemark(project, ...placed)
      const said = `${stdout}${stderr}`
      assert.ok(said.includes(expected), `${args.join(' ')}: expected ${expected}, got ${said}`)
      assert.equal(code, exit, args.join(' '))
      assert.doesNotMatch(said, /^ {4}at /m, 'no stack trace')
    }
    writeFileSync(join(project, 'features/card.ts'), 'export const card = entity(')
    const broken = await tidemark(project, 'plan')
    assert.equal(broken.code, 1)
    assert.match(broken.stderr, /TM_DEFINITION_LOAD.*card\.ts/)
  },
)

test('a data folder that is newer or damaged is refused by name, never read as far as it goes', async (context) => {
  const folder = await temporaryFolder(context)
  const sqlite = join(folder, 'metadata.sqlite')
  await (await openSqliteMetadata(sqlite)).close()
  const database = new DatabaseSync(sqlite)
  database.exec('pragma user_version = 99')
  database.close()
  await assert.rejects(openSqliteMetadata(sqlite), hasErrorCode('TM_DATA_NEWER'))

  const clock = { from: '2024-01-01T00:00Z', rate: 10 }
  for (const [text, code] of [
    ['{"format":2,"startedAt":1}', 'TM_DATA_NEWER'],
    ['{"form', 'TM_DATA_DAMAGED'],
    ['{}', 'TM_DATA_DAMAGED'],
  ]) {
    writeFileSync(join(folder, 'clock.json'), text)
    assert.throws(() => openClock(folder, clock), hasErrorCode(code))
  }

  const path = join(folder, 'log')
  const log = await openLmdbLog({ path, now: () => 0 })
  await log.createTopic('a', { partitions: 1 })
  for (let i = 0; i < 20; i++) await log.append('a', 0, [new Uint8Array(3000)])
  await log.close()
  const file = join(path, 'data.mdb')
  truncateSync(file, 5000)
  await assert.rejects(openLmdbLog({ path, now: () => 0 }), hasErrorCode('TM_DATA_DAMAGED'))
  writeFileSync(file, 'x'.repeat(100_000))
  await assert.rejects(openLmdbLog({ path, now: () => 0 }), hasErrorCode('TM_DATA_DAMAGED'))
})

test('a damaged archive file is named; nothing is computed without it', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: NOW, partitions: 1 })
  await platform.send('payments', [line({}), line({})])
  platform.clock.ms += 5000
  await platform.settle()
  const incarnation = (await platform.context.log.topic('keyed.payments.card'))?.incarnation ?? ''
  const [{ name }] = await archiveFiles(platform.context, { keyedLog: 'payments.card', incarnation, partition: 0 })
  truncateSync(await platform.context.objects.localPath(name), 300)
  await assert.rejects(
    platform.export('svc', [{ card_id: 'c', timestamp: NOW + 1 }]),
    (error: Error) => hasErrorCode('TM_ARCHIVE_DAMAGED')(error) && error.message.includes(name),
  )
  await platform.context.objects.delete(name)
  await assert.rejects(
    platform.export('svc', [{ card_id: 'c', timestamp: NOW + 1 }]),
    hasErrorCode('TM_ARCHIVE_DAMAGED'),
    'a missing file is no empty archive',
  )
})

/** A file system of its own, so small that a test can fill it. null where this machine does not let us. */
function mountSmall(context: TestContext): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-test-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    rmSync(folder, { recursive: true })
    return null
  }
  context.after(() => {
    execFileSync('umount', [folder])
    rmSync(folder, { recursive: true })
  })
  return folder
}

function fill(folder: string): string {
  const path = join(folder, 'fill')
  try {
    for (let i = 0; i < 10_000; i++) writeFileSync(path, Buffer.alloc(16 << 10), { flag: 'a' })
  } catch {
    // Full, as wanted.
  }
  return path
}

test(
  'a full disk is one clear error; once there is room, everything goes on and counts once; a read-only folder says so',
  { timeout: 300_000 },
  async (context) => {
    const folder = mountSmall(context)
    if (folder === null) {
      context.skip('needs the right to mount a tmpfs')
      return
    }
    const project = join(folder, 'project')
    mkdirSync(join(project, 'features'), { recursive: true })
    writeFileSync(join(project, 'package.json'), '{"type":"module"}')
    writeFileSync(join(project, 'features/card.ts'), PAYMENTS)
    assert.equal((await tidemarkAlone(project, 'apply')).code, 0)
    const events = await temporaryFolder(context)
    const file = join(events, 'events.jsonl')
    const lines = Array.from({ length: 5000 }, (_, i) =>
      JSON.stringify({ card_id: `c${i % 50}`, merchant: `m${Math.sin(i)}`, amount: 1, paid_at: Date.now() - 1000 }),
    )
    writeFileSync(file, lines.join('\n'))
    assert.equal((await tidemarkAlone(project, 'produce', 'payments', file)).code, 0)
    const full = fill(folder)
    const failed = await tidemarkAlone(project, 'produce', 'payments', file)
    assert.equal(failed.code, 1)
    assert.match(failed.stderr, /^TM_DISK_FULL: .*free space/m)
    assert.doesNotMatch(failed.stderr, /^ {4}at /m)
    rmSync(full)
    assert.equal((await tidemarkAlone(project, 'produce', 'payments', file)).code, 0)

    const statuses = JSON.parse((await tidemarkAlone(project, '--json', 'status')).stdout) as { caughtUp: boolean }
    assert.equal(statuses.caughtUp, true)
    let counted = 0
    for (const card of ['c0', 'c1']) {
      const got = await tidemarkAlone(project, '--json', 'get', 'fraud', `card_id=${card}`, 'amount=1')
      const { rows } = JSON.parse(got.stdout) as { rows: { values: number[] }[] }
      counted += rows[0].values[0]
    }
    // Two whole files, and of the one that was cut off as many records as had been taken.
    assert.ok(counted >= 400 && counted <= 600, `${counted}`)
    assert.equal(counted % 10, 0, 'a record of 500 events is taken whole or not at all')
    const tokens = readdirSync(join(project, '.tidemark/objects'))
    assert.ok(tokens.includes('archive') && existsSync(join(project, '.tidemark/log/data.mdb')))

    execFileSync('mount', ['-o', 'remount,ro', folder])
    const readOnly = await tidemarkAlone(project, 'produce', 'payments', file)
    assert.equal(readOnly.code, 1)
    assert.match(readOnly.stderr, /^TM_DATA_READ_ONLY: /m)
  },
)
