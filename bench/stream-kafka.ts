import { createHash, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BenchPart, BenchResult } from './bench-result.ts'
import { openEngines } from './stream-kafka/bench-engines.ts'
import type { BenchEngines } from './stream-kafka/bench-engines.ts'
import {
  assertSameWindows,
  createDelaysTopic,
  delayEvents,
  expectedWindows,
  produceDelays,
  windowName,
} from './stream-kafka/delay-events.ts'
import type { DelayEvents, WindowValues } from './stream-kafka/delay-events.ts'
import { DelaysProject } from './stream-kafka/delays-project.ts'
import { startKafkaStreams } from './stream-kafka/kafka-streams-peer.ts'
import type { StreamsOptions } from './stream-kafka/kafka-streams-peer.ts'
import { processorSeconds, residentMiBMax } from './stream-kafka/process-usage.ts'

const RATIO_GOAL = 10
const EVENTS_PER_SECOND_GOAL = 150_000
const HOUR = 3_600_000
const STREAMS_THREADS = 2
/** Events per hour of event time: as they come from some thousands of stations, and ten times as thin, as when history is replayed. */
const LIVE = 28_000
const BACKFILL = 2_800

interface Scenario {
  readonly name: string
  readonly stations: number
  readonly perHour: number
  readonly events: number
  readonly guarantees: readonly StreamsOptions['guarantee'][]
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'live-340',
    stations: 340,
    perHour: LIVE,
    events: 1_000_000,
    guarantees: ['at_least_once', 'exactly_once_v2'],
  },
  { name: 'live-5000', stations: 5000, perHour: LIVE, events: 500_000, guarantees: ['at_least_once'] },
  { name: 'backfill-340', stations: 340, perHour: BACKFILL, events: 500_000, guarantees: ['at_least_once'] },
  { name: 'backfill-5000', stations: 5000, perHour: BACKFILL, events: 300_000, guarantees: ['at_least_once'] },
]
const SMOKE: readonly Scenario[] = [{ name: 'smoke', stations: 20, perHour: LIVE, events: 3000, guarantees: [] }]

/** What a stream processor used for all events of a topic. */
interface Used {
  readonly wallSeconds: number
  readonly cpuSeconds: number
  /** Of the servers meanwhile, by name. */
  readonly servers: Readonly<Record<string, number>>
  readonly residentMiB: number
}

/** Delays on a Kafka topic to windowed features in Redis, by one worker; beside a Kafka Streams application that computes the same windows from the same topic. `part`: one scenario alone. */
export async function run({ smoke, part }: { smoke: boolean; part?: string }): Promise<BenchResult> {
  const scenarios = (smoke ? SMOKE : SCENARIOS).filter(({ name }) => part === undefined || name === part)
  if (scenarios.length === 0)
    throw new Error(`no part '${part}', expected one of ${SCENARIOS.map(({ name }) => name).join(', ')}`)
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-bench-'))
  const engines = await openEngines({ shared: smoke })
  const hash = createHash('sha256')
  const parts: BenchPart[] = []
  try {
    for (const scenario of scenarios) parts.push(...(await measure(scenario, { folder, engines, hash })))
  } finally {
    await engines.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  const [first] = parts
  // Beside the peer; how many events a worker takes in a second has a goal of its own.
  const beside = smoke ? parts : parts.filter(({ unit }) => unit === first.unit)
  return {
    name: 'stream-kafka',
    unit: first.unit,
    ours: first.ours,
    peer: first.peer,
    peerName: smoke ? 'goal' : 'Kafka Streams 4.3.1',
    ratio: Math.min(...beside.map(({ ratio }) => ratio)),
    goal: smoke ? 1 : RATIO_GOAL,
    hash: hash.digest('hex'),
    settings: { smoke, streamsThreads: STREAMS_THREADS },
    parts,
  }
}

interface Place {
  readonly folder: string
  readonly engines: BenchEngines
  readonly hash: ReturnType<typeof createHash>
}

async function measure(scenario: Scenario, { folder, engines, hash }: Place): Promise<BenchPart[]> {
  const { name, stations, perHour, events: count, guarantees } = scenario
  const events = delayEvents(count, stations, perHour, Math.floor(Date.now() / HOUR) * HOUR)
  const expected = expectedWindows(events)
  const topic = `delays-${randomUUID()}`
  await createDelaysTopic(engines.brokers, topic)
  await produceDelays(engines.brokers, topic, events)
  const ours = await measureTidemark(join(folder, name), { topic, events, expected, engines })
  // Stations and times from the end on: the same in every run.
  for (const [at, value] of [...expected].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const [window, end, station] = at.split(' ')
    hash.update(windowName(window, Number(end) - events.end, station)).update(value)
  }
  const wall = count / ours.wallSeconds
  describe(name, 'tidemark', count, ours)
  const speed = { name: `${name}, one worker`, unit: 'events/s', ours: wall, peer: EVENTS_PER_SECOND_GOAL }
  const parts: BenchPart[] = []
  for (const guarantee of guarantees) {
    const peerFolder = join(folder, `${name}-${guarantee}`)
    const peer = await measureStreams(peerFolder, guarantee, { topic, events, expected, engines })
    describe(name, `kafka streams, ${guarantee}, until read`, count, peer.read)
    describe(name, `kafka streams, ${guarantee}, with what it stores at its end`, count, peer.closed)
    const [own, other] = [count / ours.cpuSeconds, count / peer.closed.cpuSeconds]
    parts.push({
      name: `${name}, ${guarantee}`,
      unit: 'events per CPU-second',
      ours: own,
      peer: other,
      ratio: own / other,
    })
  }
  return [...parts, { ...speed, ratio: speed.ours / speed.peer }]
}

interface Measuring {
  readonly topic: string
  readonly events: DelayEvents
  readonly expected: WindowValues
  readonly engines: BenchEngines
}

/** From the moment that `tidemark stream` runs until every event is in Redis. */
async function measureTidemark(folder: string, { topic, events, expected, engines }: Measuring): Promise<Used> {
  const log = `kafka://${engines.brokers.join(',')}/bench-${randomUUID()}`
  const project = await DelaysProject.make(folder, topic, { log, online: engines.redisUrl })
  try {
    const worker = await project.startWorker()
    try {
      const usage = useMeter(worker.pid, engines)
      await project.untilApplied()
      const used = usage()
      assertSameWindows('tidemark', await project.windows(events), expected)
      return used
    } finally {
      await worker.kill('SIGTERM')
    }
  } finally {
    await project.close()
  }
}

/** From the first event that it reads until it has read all; and until it has closed, as what is in its caches is stored then. */
async function measureStreams(
  folder: string,
  guarantee: StreamsOptions['guarantee'],
  { topic, events, expected, engines }: Measuring,
): Promise<{ read: Used; closed: Used }> {
  const [bootstrap] = engines.brokers
  const application = `bench-${randomUUID()}`
  const peer = startKafkaStreams({ bootstrap, topic, application, folder, guarantee, threads: STREAMS_THREADS })
  try {
    await peer.until(/^FIRST/)
    const usage = useMeter(peer.pid, engines)
    peer.say(`stop ${events.ts.length}`)
    await peer.until(/^READ/)
    const read = usage()
    usage('pause')
    peer.say(`dump ${events.end}`)
    const dumped = (await peer.until(/^END/)).filter((line) => line.startsWith('W '))
    usage('resume')
    peer.say('close')
    await peer.until(/^CLOSED/)
    const closed = usage()
    assertSameWindows('kafka streams', windowsOf(dumped), expected)
    return { read, closed }
  } finally {
    await peer.kill()
  }
}

/** `W <window> <end> <station> <count> <sum> <max>` */
function windowsOf(lines: readonly string[]): WindowValues {
  return new Map(
    lines.map((line) => {
      const [, window, end, station, count, sum, max] = line.split(' ')
      return [windowName(window, Number(end), station), `${count} ${Number(sum)} ${Number(max)}`]
    }),
  )
}

/** Measures from now on; what passes between `pause` and `resume` does not count. */
function useMeter(pid: number, { pids }: BenchEngines): (what?: 'pause' | 'resume') => Used {
  const now = (): { wall: number; cpu: number; servers: number[] } => ({
    wall: performance.now() / 1000,
    cpu: processorSeconds(pid),
    servers: Object.values(pids).map(processorSeconds),
  })
  let start = now()
  let paused = start
  return (what) => {
    const at = now()
    if (what === 'pause') paused = at
    if (what === 'resume')
      start = {
        wall: start.wall + at.wall - paused.wall,
        cpu: start.cpu + at.cpu - paused.cpu,
        servers: start.servers.map((before, i) => before + at.servers[i] - paused.servers[i]),
      }
    return {
      wallSeconds: at.wall - start.wall,
      cpuSeconds: at.cpu - start.cpu,
      servers: Object.fromEntries(Object.keys(pids).map((name, i) => [name, at.servers[i] - start.servers[i]])),
      residentMiB: residentMiBMax(pid),
    }
  }
}

function describe(scenario: string, who: string, events: number, used: Used): void {
  const { wallSeconds, cpuSeconds, servers, residentMiB } = used
  const others = Object.entries(servers).map(([name, seconds]) => `${name} ${((seconds * 1e6) / events).toFixed(2)}`)
  console.log(
    `${scenario}: ${who}: ${Math.round(events / wallSeconds)} events/s, ${((cpuSeconds * 1e6) / events).toFixed(2)} µs CPU each${others.length === 0 ? '' : ` (${others.join(', ')} µs)`}, ${residentMiB} MiB`,
  )
}
