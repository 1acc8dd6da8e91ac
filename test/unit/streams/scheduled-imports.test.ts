import assert from 'node:assert/strict'
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { reportSchedules, ScheduledImports } from '../../../streams/imports/scheduled-imports.ts'
import type { ScheduledRun } from '../../../streams/imports/scheduled-imports.ts'
import { Platform } from '../../support/platform.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const definitions = (
  files: string,
) => `import { entity, featureService, featureView, latest, count, table, t } from 'tidemark'
export const item = entity('item', { item_id: t.string() })
const prices = table('prices', {
  schema: { item_id: t.string(), price: t.float64(), at: t.timestamp() },
  eventTime: 'at',
  schedule: '0 3 * * *',${files}
})
export const priced = featureView('priced', { entity: item, from: prices, features: { price: latest('price'), n: count().over('lifetime') } })
export const shop = featureService('shop', { features: [priced.all()] })
`

class Schedule {
  readonly platform: Platform
  readonly runs: [string, ScheduledRun][] = []
  #imports: ScheduledImports

  private constructor(platform: Platform) {
    this.platform = platform
    this.#imports = this.#open()
  }

  static async open(context: TestContext, files = ''): Promise<Schedule> {
    const schedule = new Schedule(await Platform.open(context, definitions(files), { now: Date.UTC(2024, 5, 1, 12) }))
    assert.equal(await schedule.look(), 0, 'the first look only marks where the schedule begins')
    return schedule
  }

  #open(): ScheduledImports {
    const { platform } = this
    return new ScheduledImports(platform.context, {
      directory: platform.directory,
      now: () => platform.clock.ms,
      wallClock: Date.now,
      onRun: (table, run) => this.runs.push([table, run]),
    })
  }

  look(): Promise<number> {
    return this.#imports.runOnce(new AbortController().signal)
  }

  async restart(): Promise<void> {
    await this.platform.restart()
    this.#imports = this.#open()
  }

  /** A file of prices that nobody has written to for a minute. */
  write(file: string, rows: readonly (readonly [string, number | string])[]): void {
    const path = join(this.platform.directory, file)
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(
      path,
      `item_id,price,at\n${rows.map(([id, price]) => `${id},${price},2024-05-0${(rows.length % 9) + 1}T00:00:00Z\n`).join('')}`,
    )
    const then = new Date(Date.now() - 60_000)
    utimesSync(path, then, then)
  }

  async count(item_id: string): Promise<unknown> {
    await this.platform.settle()
    return (await this.platform.readOne('shop', { item_id })).cells.priced__n.value
  }
}

test('a table is imported when its schedule says so: new files once each, in order, over restarts', async (context) => {
  const schedule = await Schedule.open(context)
  const { platform, runs } = schedule
  schedule.write('data/prices/b.csv', [['x', 2]])
  schedule.write('data/prices/a.csv', [
    ['x', 1],
    ['y', 5],
  ])
  schedule.write('data/prices/.hidden.csv', [['x', 9]])
  platform.clock.ms = Date.UTC(2024, 5, 2, 3) - 1
  assert.equal(await schedule.look(), 0)
  platform.clock.ms++
  assert.equal(await schedule.look(), 1)
  assert.equal(await schedule.look(), 0)
  assert.deepEqual(
    runs.map(([table, { files, accepted, scheduledFor }]) => [table, files, accepted, scheduledFor]),
    [['prices', ['data/prices/a.csv', 'data/prices/b.csv'], 3, Date.UTC(2024, 5, 2, 3)]],
  )
  assert.equal(await schedule.count('x'), 2)
  await schedule.restart()
  schedule.write('data/prices/c.csv', [['x', 3]])
  // Three days pass while nobody runs: one run makes up for them.
  platform.clock.ms += 3 * DAY + HOUR
  assert.equal(await schedule.look(), 1)
  assert.equal(await schedule.look(), 0)
  assert.deepEqual([runs[1][1].files, runs[1][1].scheduledFor], [['data/prices/c.csv'], Date.UTC(2024, 5, 5, 3)])
  assert.equal(await schedule.count('x'), 3)
  const [report] = await reportSchedules(platform.context, platform.clock.ms)
  assert.deepEqual([report.source, report.next, report.last?.accepted], ['prices', Date.UTC(2024, 5, 6, 3), 1])
})

test('what cannot be taken in is told with a code and keeps nothing else out; a changed file is not taken twice', async (context) => {
  const schedule = await Schedule.open(context, `\n  files: ['in/*.csv', 'more/**/*.jsonl'],`)
  const { platform, runs } = schedule
  schedule.write('in/a.csv', [
    ['x', 1],
    ['x', 'dear'],
  ])
  schedule.write('in/b.csv', [['x', 2]])
  schedule.write('in/readme.txt', [['x', 2]])
  platform.clock.ms += DAY
  assert.equal(await schedule.look(), 1)
  const [, first] = runs[0]
  assert.deepEqual(
    [first.files, first.accepted, first.problems.map(({ file, code }) => [file, code])],
    [['in/b.csv'], 1, [['in/a.csv', 'TM_COLUMN_TYPE']]],
  )
  schedule.write('in/a.csv', [
    ['x', 1],
    ['x', 7],
  ])
  schedule.write('in/b.csv', [
    ['x', 2],
    ['x', 4],
    ['x', 4],
  ])
  platform.clock.ms += DAY
  assert.equal(await schedule.look(), 1)
  const [, second] = runs[1]
  assert.deepEqual(
    [second.files, second.accepted, second.problems.map(({ file, code }) => [file, code])],
    [['in/a.csv'], 2, [['in/b.csv', 'TM_FILE_CHANGED']]],
  )
  assert.equal(await schedule.count('x'), 3)
})

test('a new schedule is told by plan and changes no version', async (context) => {
  const { platform } = await Schedule.open(context)
  platform.define(definitions(`\n  files: 'in/*.csv',`))
  const { changes, catalogue } = await platform.context.registry.plan(platform.directory)
  assert.deepEqual(changes, [])
  assert.deepEqual(catalogue, [
    {
      kind: 'source',
      name: 'prices',
      field: 'schedule',
      from: '0 3 * * * from data/prices/*',
      to: '0 3 * * * from in/*.csv',
    },
  ])
})
