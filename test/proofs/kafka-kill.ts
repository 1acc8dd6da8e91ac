import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { Producer } from 'kafkajs'
import { openProject } from '../../cli/open-project.ts'
import type { Project } from '../../cli/open-project.ts'
import { countDeadLetters } from '../../streams/dead-letters/dead-letter-counts.ts'
import { readDeadLetters } from '../../streams/dead-letters/dead-letters.ts'
import { quietClient, startKafka } from '../services/kafka-cluster.ts'
import type { KafkaCluster } from '../services/kafka-cluster.ts'
import { startRedis } from '../services/redis.ts'
import { CliProcess, tidemarkJson } from '../support/cli-process.ts'
import { assertEachOnce, CARDS } from '../support/engine-project.ts'
import { PAYMENTS, temporaryProject } from '../support/project.ts'
import { Random } from '../support/random.ts'
import type { ProofOptions } from './proof-options.ts'

const ROUNDS = 30
const PARTITIONS = 3
const HOUR = 3_600_000
const BAD = '{"id": 7}'

/** What is killed in a round; a broker comes back. */
type Victim = 'stream' | 'archive' | 'import' | 'replay' | 'broker'
const VICTIMS: readonly Victim[] = ['stream', 'broker', 'archive', 'import', 'stream', 'broker', 'stream', 'replay']

/**
 * A cluster of three brokers under events that come all the time, good and bad, from a producer that is not Tidemark's; roles, imports, replays of dead letters and brokers are killed with -9 at random moments. Afterwards
 * every event is in the archive once, the states are those of one replay byte for byte, and what was served verifies.
 */
export async function prove({ rounds = ROUNDS, seed }: ProofOptions): Promise<void> {
  const cleanups: (() => unknown)[] = []
  const context = { after: (fn: () => unknown) => cleanups.push(fn) } as unknown as TestContext
  try {
    await proveKills(context, new Random(seed), rounds)
  } finally {
    for (const clean of cleanups.toReversed()) await clean()
  }
}

export async function proveKills(context: TestContext, random: Random, rounds: number): Promise<void> {
  const test = await KillCase.open(context, random)
  for (let round = 0; round < rounds; round++) await test.round(VICTIMS[round % VICTIMS.length])
  await test.end()
}

class KillCase {
  readonly #context: TestContext
  readonly #random: Random
  readonly #kafka: KafkaCluster
  readonly #folder: string
  readonly #topic: string
  readonly #producer: Producer
  readonly #roles = new Map<string, CliProcess>()
  /** Ids of events in files. */
  readonly #imported: string[] = []
  #events = 0
  /** The broker that was killed last answers again. */
  #back: Promise<void> = Promise.resolve()
  #files = 0

  private constructor(
    context: TestContext,
    random: Random,
    kafka: KafkaCluster,
    place: { readonly folder: string; readonly topic: string; readonly producer: Producer },
  ) {
    this.#context = context
    this.#random = random
    this.#kafka = kafka
    this.#folder = place.folder
    this.#topic = place.topic
    this.#producer = place.producer
  }

  static async open(context: TestContext, random: Random): Promise<KillCase> {
    const [kafka, redis] = await Promise.all([startKafka({ nodes: 3 }), startRedis()])
    context.after(kafka.stop)
    context.after(redis.stop)
    const topic = 'payments'
    const client = quietClient(kafka.brokers)
    const admin = client.admin()
    const producer = client.producer()
    await Promise.all([admin.connect(), producer.connect()])
    context.after(() => producer.disconnect())
    await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS, replicationFactor: 3 }] })
    await admin.disconnect()
    const log = `kafka://${kafka.brokers.join(',')}/d-${randomUUID()}`
    const settings = { log, online: redis.url, buckets: 16, partitions: 4 }
    const folder = temporaryProject(context, {
      'features/card.ts': PAYMENTS.replace('schema: {', 'schema: { id: t.string(),'),
      'tidemark.config.ts': `export default ${JSON.stringify(settings)}`,
    })
    await tidemarkJson(folder, 'apply')
    return new KillCase(context, random, kafka, { folder, topic, producer })
  }

  async round(victim: Victim): Promise<void> {
    for (const role of ['stream', 'archive']) await this.#start(role)
    // Two of three are enough, one is not.
    if (victim === 'broker') await this.#back
    const random = this.#random
    const sending = this.#send(5 + random.below(20))
    const node = random.below(this.#kafka.nodes.length)
    const command = victim === 'import' ? this.#import() : victim === 'replay' ? this.#replay() : null
    await pause(random.below(victim === 'broker' ? 300 : 1500))
    if (victim === 'broker') await this.#kafka.nodes[node].kill()
    else await kill(command ?? this.#roles.get(victim)!)
    await sending
    if (victim === 'broker') {
      await this.#send(10)
      this.#kafka.nodes[node].launch()
      this.#back = this.#kafka.nodes[node].ready()
      this.#back.catch(() => {})
    }
    // Killed, and done again: what was taken in counts once.
    if (victim === 'import') assert.equal(await this.#import().exited, 0)
  }

  async end(): Promise<void> {
    await this.#back
    for (const role of ['stream', 'archive']) await this.#start(role)
    await tidemarkJson(this.#folder, 'wait', '--timeout', '120s')
    for (const role of this.#roles.values()) {
      role.child.kill('SIGTERM')
      assert.equal(await role.exited, 0, role.output)
    }
    const project = await openProject(this.#folder)
    try {
      await this.#assertTaken(project)
    } finally {
      await project.close()
    }
  }

  /** Every bad record of the topic is a letter, every good one is in the archive, each once: what counts is what the topic holds, whatever its producer thinks that it sent. */
  async #assertTaken(project: Project): Promise<void> {
    const { log } = project
    const topic = await log.topic(log.foreignTopic(this.#topic) ?? '')
    assert.ok(topic !== null)
    const bad: string[] = []
    const good: string[] = []
    for (let partition = 0; partition < PARTITIONS; partition++) {
      for (let next = 0; ;) {
        const { records, nextOffset } = await log.readOn({ ...topic, topic: topic.name, partition }, next, 1 << 20)
        if (records.length === 0) break
        for (const { offset, value } of records) {
          const text = Buffer.from(value).toString()
          if (text === BAD) bad.push(`${topic.incarnation}/${partition}/${offset}`)
          else good.push((JSON.parse(text) as { id: string }).id)
        }
        next = nextOffset
      }
    }
    const letters: string[] = []
    for await (const fetched of readDeadLetters(log, 'payments'))
      for (const { origin, sequence } of fetched.letters) letters.push(`${origin}/${sequence[0]}`)
    assert.deepEqual(letters.toSorted(), bad.toSorted(), 'every bad record is a letter, once')
    assert.deepEqual((await countDeadLetters(project, 'payments')).byCode, { TM_EVENT_TYPE: bad.length })
    await assertEachOnce(this.#context, project, [...good, ...this.#imported])
  }

  async #start(role: string): Promise<void> {
    const running = this.#roles.get(role)
    if (running !== undefined && running.child.exitCode === null && running.child.signalCode === null) return
    const process = new CliProcess(this.#context, this.#folder, role)
    this.#roles.set(role, process)
    await process.line(/runs \(Ctrl-C stops\)/)
  }

  /** Batches of events, to all partitions; a tenth of them are none. */
  async #send(batches: number): Promise<void> {
    const random = this.#random
    for (let batch = 0; batch < batches; batch++) {
      const messages = Array.from({ length: 1 + random.below(50) }, () => {
        const isBad = random.below(10) === 0
        return { partition: random.below(PARTITIONS), value: isBad ? BAD : JSON.stringify(this.#event()) }
      })
      // One that fails may have succeeded, and one that is sent again may stand there twice.
      await this.#producer.send({ topic: this.#topic, messages, acks: -1 }).catch(() => {})
      await pause(random.below(40))
    }
  }

  #event(): Record<string, unknown> {
    const random = this.#random
    const id = `e${this.#events++}`
    return {
      id,
      // The first ones are of every card.
      card_id: `c-${this.#events <= CARDS ? this.#events - 1 : random.below(CARDS)}`,
      merchant: random.pick(['a', 'b', null]),
      amount: random.pick([0.1, 0.2, 12.5, 1e16, -1]),
      paid_at: Date.now() - random.below(72 * HOUR),
    }
  }

  /** A file of its own for each round; the same again after a kill. */
  #import(): CliProcess {
    const path = join(this.#folder, `import-${this.#files}.jsonl`)
    const isAgain = this.#importing === path
    if (!isAgain) {
      const events = Array.from({ length: 500 }, () => this.#event())
      this.#imported.push(...events.map(({ id }) => String(id)))
      writeFileSync(path, events.map((event) => `${JSON.stringify(event)}\n`).join(''))
    }
    this.#importing = isAgain ? null : path
    if (isAgain) this.#files++
    return new CliProcess(this.#context, this.#folder, '--json', 'import', 'payments', path)
  }
  #importing: string | null = null

  #replay(): CliProcess {
    return new CliProcess(this.#context, this.#folder, '--json', 'dead-letters', 'replay', 'payments')
  }
}

async function kill(process: CliProcess): Promise<void> {
  process.child.kill('SIGKILL')
  await process.exited
}
