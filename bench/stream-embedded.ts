import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Registry } from '../registry/registry.ts'
import { openLmdbLog } from '../stores/log/lmdb/open.ts'
import { openSqliteMetadata } from '../stores/metadata/sqlite/open.ts'
import { openFileObjects } from '../stores/objects/files/open.ts'
import { openLmdbOnline } from '../stores/online/lmdb/open.ts'
import { openTables } from '../stores/tables/open-tables.ts'
import { ApplyRole } from '../streams/apply/apply-role.ts'
import { StreamRole } from '../streams/stream-role.ts'
import { createTopics } from '../streams/stream-context.ts'
import type { StreamContext } from '../streams/stream-context.ts'
import { Random } from '../test/support/random.ts'
import type { BenchResult } from './bench-result.ts'

const EVENTS_PER_SECOND_GOAL = 150_000
const SEED = 1
const EVENTS = 1_000_000
const EVENTS_SMOKE = 5_000
const CARDS = 20_000
const MERCHANTS = 1_000
const LINES_PER_RECORD = 500
const BUCKETS = 256
const PARTITIONS = 4
const START_MS = Date.UTC(2024, 0, 1)
/** Event times span two days, so that every window fills and slides. */
const SPAN_MS = 2 * 86_400_000
/** At most this late. */
const LATE_MS_MAX = 600_000

const DEFINITIONS = `import { count, entity, featureService, featureView, max, mean, min, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const merchant = entity('merchant', { merchant_id: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), merchant_id: t.string(), amount: t.float64(), country: t.string().nullable(), paid_at: t.timestamp() },
  eventTime: 'paid_at',
})
export const cardSpend = featureView('card_spend', {
  entity: card, from: payments,
  features: {
    payments_1h: count().over('1h'), spend_1h: sum('amount').over('1h'), spend_mean_24h: mean('amount').over('24h'),
    smallest_24h: min('amount').over('24h'), biggest_7d: max('amount').over('7d'),
  },
})
export const merchantTakings = featureView('merchant_takings', {
  entity: merchant, from: payments,
  features: {
    payments_1h: count().over('1h'), takings_1h: sum('amount').over('1h'), takings_24h: sum('amount').over('24h'),
    takings_mean_7d: mean('amount').over('7d'), biggest_24h: max('amount').over('24h'),
  },
})
export const risk = featureService('risk', { features: [cardSpend.all(), merchantTakings.all()] })
`

interface Measured {
  readonly wallSeconds: number
  readonly cpuSeconds: number
  readonly hash: string
}

/** JSON events in a source's topic, through ingest and apply, to entity states in the online store: LMDB on disk, flushes durable, one process. */
export async function run({ smoke }: { smoke: boolean }): Promise<BenchResult> {
  const events = smoke ? EVENTS_SMOKE : EVENTS
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-bench-'))
  try {
    const { wallSeconds, cpuSeconds, hash } = await measure(folder, events)
    const ours = events / cpuSeconds
    const ratio = ours / EVENTS_PER_SECOND_GOAL
    const part = { name: 'of wall time', unit: 'events/s', ours: events / wallSeconds, peer: EVENTS_PER_SECOND_GOAL }
    return {
      name: 'stream-embedded',
      unit: 'events/s per core (of processor time, all threads of the process)',
      ours,
      peer: EVENTS_PER_SECOND_GOAL,
      peerName: 'goal',
      ratio: Math.min(ratio, part.ours / part.peer),
      goal: 1,
      hash,
      settings: { smoke, seed: SEED, events, cards: CARDS, merchants: MERCHANTS, partitions: PARTITIONS },
      parts: [
        { name: 'per core', unit: 'events/s', ours, peer: EVENTS_PER_SECOND_GOAL, ratio },
        { ...part, ratio: part.ours / part.peer },
      ],
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function measure(folder: string, events: number): Promise<Measured> {
  const context = await openContext(folder)
  try {
    await appendEvents(context, events)
    const role = new StreamRole(context)
    const cpuStart = process.cpuUsage()
    const wallStart = performance.now()
    while ((await role.runOnce()) > 0);
    const wallSeconds = (performance.now() - wallStart) / 1000
    const cpu = process.cpuUsage(cpuStart)
    return { wallSeconds, cpuSeconds: (cpu.user + cpu.system) / 1e6, hash: await hashStates(context) }
  } finally {
    for (const store of [context.tables, context.log, context.online, context.metadata, context.objects])
      await store.close()
  }
}

async function openContext(folder: string): Promise<StreamContext> {
  mkdirSync(join(folder, 'features'))
  writeFileSync(join(folder, 'features', 'payments.ts'), DEFINITIONS)
  // The log's clock stands still after the last event: arrivals, and so the states, are the same in every run.
  const now = (): number => START_MS + SPAN_MS + 1
  const metadata = await openSqliteMetadata(join(folder, 'metadata.sqlite'))
  const registry = new Registry(metadata)
  await registry.apply(folder, now())
  const context = {
    log: await openLmdbLog({ path: join(folder, 'log'), now }),
    online: await openLmdbOnline({ path: join(folder, 'online'), now }),
    objects: await openFileObjects({ path: join(folder, 'objects') }),
    tables: await openTables({ temporaryFolder: join(folder, 'duckdb') }),
    metadata,
    registry,
    buckets: BUCKETS,
    partitions: PARTITIONS,
  }
  await createTopics(context)
  await new ApplyRole(context).begin()
  return context
}

/** Appends the events as `produce` does, 500 lines to a record. */
async function appendEvents({ log }: StreamContext, events: number): Promise<void> {
  const random = new Random(SEED)
  const encoder = new TextEncoder()
  for (let first = 0; first < events; first += LINES_PER_RECORD) {
    const lines: string[] = []
    for (let i = first; i < Math.min(first + LINES_PER_RECORD, events); i++) {
      const paidAt = START_MS + Math.floor((i / events) * SPAN_MS) - random.below(LATE_MS_MAX)
      lines.push(
        JSON.stringify({
          card_id: `card-${random.below(CARDS)}`,
          merchant_id: `m-${random.below(MERCHANTS)}`,
          amount: random.below(100_000) / 100,
          country: random.pick(['DE', 'FR', 'IT', null]),
          paid_at: random.below(2) === 0 ? paidAt : new Date(paidAt).toISOString(),
        }),
      )
    }
    await log.append('source.payments', 0, [encoder.encode(lines.join('\n'))])
  }
}

async function hashStates({ online, registry }: StreamContext): Promise<string> {
  const hash = createHash('sha256')
  for (const { name, views } of await registry.keyedLogs())
    for (const { plan, version } of views)
      for (let bucket = 0; bucket < BUCKETS; bucket++)
        for await (const { key, state } of online.scan({ keyedLog: name, bucket }, version)) {
          hash.update(plan.name).update(key).update(state.open)
          if (state.sealed !== null) hash.update(state.sealed)
        }
  return hash.digest('hex')
}
