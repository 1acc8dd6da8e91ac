import assert from 'node:assert/strict'
import { globSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { bucketOf } from '../../../features/values/entity-key.ts'
import { encodeCell } from '../../../features/values/value-bytes.ts'
import { rewriteEnvironment } from '../../../stores/rewrite-environment.ts'
import { CompactionRole } from '../../../streams/archive/compact-archive.ts'
import { forgetKey } from '../../../streams/forget/forget-key.ts'
import type { Forgotten } from '../../../streams/forget/forget-key.ts'
import { ForgottenKey } from '../../../streams/forget/forgotten-key.ts'
import { faultyContext, Fuse, Crash } from '../../support/faulty-stores.ts'
import { Platform } from '../../support/platform.ts'
import { Random, runSeed } from '../../support/random.ts'

const START = Date.UTC(2024, 5, 1)
const MINUTE = 60_000
const GONE = 'card-to-forget'
const CARDS = [GONE, 'card-1', 'card-2', 'card-3', 'card-4']
const MERCHANTS = ['shop-a', 'shop-b', 'shop-c']

const DEFINITIONS = `import { count, distinctCount, entity, featureService, featureView, last, lastN, stream, sum, t, valueCounts } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const merchant = entity('merchant', { merchant: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), merchant: t.string().nullable(), amount: t.float64(), paid_at: t.timestamp() },
  eventTime: 'paid_at',
})
export const cards = featureView('cards', {
  entity: card, from: payments,
  features: { n: count().over('lifetime'), total: sum('amount').over('24h'), shop: last('merchant').over('24h') },
})
export const merchants = featureView('merchants', {
  entity: merchant, from: payments,
  features: { n: count().over('lifetime'), total: sum('amount').over('24h'), cards: distinctCount('card_id').over('24h'),
    newest: lastN('card_id', 3).over('24h'), by_card: valueCounts('card_id').over('lifetime') },
})
export const takings = featureView('takings', {
  entity: merchant, from: payments, features: { n: count().over('lifetime'), total: sum('amount').over('24h') },
})
export const totals = featureService('totals', { features: [takings.all()] })
export const by_card = featureService('by_card', { features: [cards.all()] })
export const by_merchant = featureService('by_merchant', { features: [merchants.all()] })
`

interface Event {
  readonly card_id: string
  readonly merchant: string | null
  readonly amount: number
  readonly paid_at: number
}

/** What happens, in order; the clock moves on before each. */
type Step =
  | { readonly kind: 'produce' | 'import'; readonly events: readonly (Event | string)[] }
  | { readonly kind: 'settle' | 'restart' | 'serve' | 'compact' }

function history(random: Random): Step[] {
  const event = (): Event => ({
    card_id: random.pick(CARDS),
    merchant: random.pick([...MERCHANTS, null]),
    amount: random.below(1000) / 8,
    paid_at: START - random.below(600) * MINUTE,
  })
  const bad = (): string =>
    random.pick([
      `{"card_id":"${GONE}","amount":"much","paid_at":1}`,
      `not json about ${GONE}`,
      '{"card_id":"card-1","amount":null,"paid_at":1}',
    ])
  const events = (): (Event | string)[] =>
    Array.from({ length: 5 + random.below(30) }, () => (random.below(6) === 0 ? bad() : event()))
  const imported = (): Event[] => Array.from({ length: 20 }, event)
  // Whatever else happens: the key is streamed, refused, imported, archived and served.
  const about = (): Event => ({ ...event(), card_id: GONE, merchant: random.pick(MERCHANTS) })
  const steps: Step[] = [
    { kind: 'produce', events: [about(), `not json about ${GONE}`, ...events()] },
    { kind: 'import', events: [about(), ...imported()] },
    { kind: 'settle' },
  ]
  for (let i = 0; i < 14; i++)
    steps.push(
      random.pick<Step>([
        { kind: 'produce', events: events() },
        { kind: 'import', events: imported() },
        { kind: 'settle' },
        { kind: 'settle' },
        { kind: 'restart' },
        { kind: 'serve' },
        { kind: 'compact' },
      ]),
    )
  return [...steps, { kind: 'produce', events: events() }, { kind: 'settle' }, { kind: 'serve' }]
}

const isAboutGone = (event: Event | string): boolean =>
  typeof event === 'string' ? event.includes(GONE) : event.card_id === GONE

async function play(platform: Platform, steps: readonly Step[], without: boolean): Promise<void> {
  for (const step of steps) {
    platform.clock.ms += 1000
    if ('events' in step) {
      const events = step.events.filter((event) => !without || !isAboutGone(event))
      if (step.kind === 'import') await platform.import('payments', events as Event[] as never)
      else await platform.produce('payments', events as never)
    } else if (step.kind === 'settle') await platform.settle()
    else if (step.kind === 'restart') await platform.restart()
    else if (step.kind === 'compact')
      await new CompactionRole(platform.context, { wallClock: () => 0, graceMs: 0 }).runOnce()
    else if (step.kind === 'serve') {
      await platform.settle()
      await serveAll(platform)
    }
  }
}

async function serveAll(platform: Platform): Promise<Map<string, string>> {
  const cells = new Map<string, string>()
  for (const [service, entities] of [
    ['by_card', CARDS.map((card_id) => ({ card_id }))],
    ['by_merchant', MERCHANTS.map((merchant) => ({ merchant }))],
    ['totals', MERCHANTS.map((merchant) => ({ merchant }))],
  ] as const) {
    const vectors = await platform.read(service, entities)
    vectors.forEach(({ values, statuses }, i) =>
      cells.set(
        `${service} ${JSON.stringify(entities[i])}`,
        Buffer.concat(values.map((value, c) => encodeCell(value, statuses[c]))).toString('hex'),
      ),
    )
  }
  return cells
}

const gone = async (platform: Platform): Promise<ForgottenKey> =>
  new ForgottenKey(
    (await platform.context.registry.entities()).find(({ name }) => name === 'card')!,
    [GONE],
  )

/** State bytes of every card but the one. */
async function cardStates(platform: Platform): Promise<string[]> {
  const view = [...(await platform.context.registry.keyedLogs())].find(({ name }) => name === 'payments.card')!.views[0]
  const states: string[] = []
  for (let bucket = 0; bucket < 16; bucket++)
    for await (const { key, state } of platform.context.online.scan(
      { keyedLog: 'payments.card', bucket },
      view.version,
    ))
      if (Buffer.from(key).toString() !== GONE)
        states.push(Buffer.concat([key, state.open, state.sealed ?? Buffer.alloc(0)]).toString('hex'))
  return states
}

function filesWith(directory: string, text: string): string[] {
  return globSync('**/*', { cwd: directory })
    .filter((name) => statSync(join(directory, name)).isFile())
    .filter((name) => readFileSync(join(directory, name)).includes(text))
}

async function openPlatform(context: TestContext): Promise<Platform> {
  return Platform.open(context, DEFINITIONS, { now: START })
}

test(
  'a forgotten key: no byte of it is left; all other keys keep theirs, and other entities are as if its events had never been',
  { timeout: 120_000 },
  async (context) => {
    const random = new Random(runSeed('forget'))
    const steps = history(random)
    const platform = await openPlatform(context)
    await play(platform, steps, false)
    const never = await openPlatform(context)
    await play(never, steps, true)
    const data = join(platform.directory, '.tidemark')
    assert.ok(filesWith(data, GONE).length >= 1)

    platform.clock.ms += 1000
    never.clock.ms += 1000
    const before = await cardStates(platform)
    const servedBefore = await serveAll(platform)
    const removed = await forgetKey(platform.context, await gone(platform), platform.clock.ms)
    assert.ok(removed.events > 0 && removed.archivedEvents > 0 && removed.sourceLines > 0 && removed.servedVectors > 0)
    assert.deepEqual(await cardStates(platform), before)

    const after = await serveAll(platform)
    const expected = await serveAll(never)
    assert.deepEqual(after, expected)
    for (const card_id of CARDS.slice(1))
      assert.equal(
        after.get(`by_card ${JSON.stringify({ card_id })}`),
        servedBefore.get(`by_card ${JSON.stringify({ card_id })}`),
      )

    const report = await platform.verify()
    assert.deepEqual(report.mismatches, [])
    assert.deepEqual(report.damaged, [])
    assert.ok(report.forgotten > 0)

    const again = await forgetKey(platform.context, await gone(platform), platform.clock.ms)
    // Whoever asked for it since has put it into the served log again.
    assert.deepEqual({ ...again, states: 0 }, { ...NOTHING, servedVectors: 1 })

    await platform.context.tables.close()
    await platform.context.log.close()
    await platform.context.online.close()
    for (const name of ['log', 'online']) await rewriteEnvironment(join(data, name))
    assert.deepEqual(filesWith(data, GONE), [])
    await platform.restart()
    assert.deepEqual(await serveAll(platform), expected)

    // What comes later is new; a version built from history now sees what the live one sees.
    platform.clock.ms += 1000
    never.clock.ms += 1000
    const later = [{ card_id: GONE, merchant: 'shop-a', amount: 5, paid_at: START }]
    for (const each of [platform, never]) {
      await each.send('payments', later)
      await each.apply(DEFINITIONS.replace("over('24h')", "over('12h')"))
      await each.settle()
    }
    assert.deepEqual(await serveAll(platform), await serveAll(never))
    assert.deepEqual((await platform.verify()).mismatches, [])
  },
)

const NOTHING: Forgotten = {
  events: 0,
  archivedEvents: 0,
  sourceLines: 0,
  deadLetters: 0,
  servedVectors: 0,
  states: 0,
  touchedEntities: 0,
}

test('killed at any moment and run again, it completes', { timeout: 120_000 }, async (context) => {
  const random = new Random(runSeed('forget killed'))
  const steps = history(random)
  const platform = await openPlatform(context)
  await play(platform, steps, false)
  const never = await openPlatform(context)
  await play(never, steps, true)
  let kills = 0
  for (let operations = random.below(8); ; operations += 1 + random.below(8)) {
    const fuse = new Fuse(random)
    fuse.light(operations)
    try {
      await forgetKey(faultyContext(platform.context, fuse), await gone(platform), platform.clock.ms)
      break
    } catch (error) {
      if (!(error instanceof Crash)) throw error
      kills++
    }
  }
  assert.ok(kills > 0)
  platform.clock.ms = never.clock.ms += 1000
  assert.deepEqual(await serveAll(platform), await serveAll(never))
  const report = await platform.verify()
  assert.deepEqual(report.mismatches, [])
  const bucket = bucketOf(Buffer.from(GONE), 16)
  for await (const { key } of platform.context.online.scan(
    { keyedLog: 'payments.card', bucket },
    (await platform.context.registry.keyedLogs())[0].views[0].version,
  ))
    assert.notEqual(Buffer.from(key).toString(), GONE)
})
