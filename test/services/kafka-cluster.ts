import { randomBytes } from 'node:crypto'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { findJava, installed, javaFlags, KAFKA_FOLDER, kafkaClassPath } from './installation.ts'
import { reservePorts } from './ports.ts'
import { ServerProcess } from './server-process.ts'
import { removeServiceFolder, serviceFolder } from './service-folder.ts'
import { until } from './until.ts'

export interface KafkaOptions {
  /** 1, or 3 for leaders that move: replication 3 with 2 in sync. */
  readonly nodes?: 1 | 3
  readonly heapMiB?: number
  /** Broker settings over those of kafka/server.properties, for all nodes. */
  readonly properties?: Readonly<Record<string, string | number>>
  /** In place of a fresh temporary folder. */
  readonly folder?: string
  readonly installation?: string
  readonly extraJavaFlags?: readonly string[]
}

export interface KafkaCluster {
  /** host:port of every node. */
  readonly brokers: readonly string[]
  /** Node `i` has broker id `i + 1`. */
  readonly nodes: readonly ServerProcess[]
  readonly clusterId: string
  /** Kills the nodes and removes their data. */
  readonly stop: () => Promise<void>
}

/** Real Kafka brokers (KRaft, each a controller too); ready when all are in and the coordinators of groups and transactions answer. */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaCluster> {
  const { nodes: count = 1, folder = serviceFolder('kafka') } = options
  const ports = await reservePorts(count * 2)
  const clusterId = randomId()
  const brokers = ports.slice(0, count).map((port) => `127.0.0.1:${port}`)
  const voters = ports.slice(count).map((port, i) => `${i + 1}@127.0.0.1:${port}`)
  const nodes = brokers.map((broker, i) => {
    const settings = { ...nodeSettings(i + 1, broker, voters), ...options.properties }
    return brokerProcess(i + 1, join(folder, `node-${i + 1}`), { clusterId, broker, settings, options })
  })
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.kill()))
    removeServiceFolder(folder)
  }
  try {
    for (const node of nodes) node.launch()
    await Promise.all(nodes.map((node) => node.ready()))
    await answersFully(brokers)
  } catch (error) {
    await stop()
    throw error
  }
  return { brokers, nodes, clusterId, stop }
}

function nodeSettings(id: number, broker: string, voters: readonly string[]): Record<string, string | number> {
  const replication = voters.length
  const inSync = voters.length > 1 ? 2 : 1
  return {
    'node.id': id,
    'controller.quorum.voters': voters.join(','),
    listeners: `PLAINTEXT://${broker},CONTROLLER://${voters[id - 1].split('@')[1]}`,
    'advertised.listeners': `PLAINTEXT://${broker}`,
    'default.replication.factor': replication,
    'min.insync.replicas': inSync,
    'offsets.topic.replication.factor': replication,
    'transaction.state.log.replication.factor': replication,
    'transaction.state.log.min.isr': inSync,
    'share.coordinator.state.topic.replication.factor': replication,
    'share.coordinator.state.topic.min.isr': inSync,
  }
}

interface BrokerFiles {
  readonly clusterId: string
  readonly broker: string
  readonly settings: Readonly<Record<string, string | number>>
  readonly options: KafkaOptions
}

function brokerProcess(id: number, folder: string, files: BrokerFiles): ServerProcess {
  const { heapMiB = 256, installation = KAFKA_FOLDER, extraJavaFlags = [] } = files.options
  const data = join(folder, 'data')
  const properties = join(folder, 'server.properties')
  mkdirSync(folder, { recursive: true })
  format(installation, data, files.clusterId, id)
  const base = readFileSync(join(import.meta.dirname, 'kafka', 'server.properties'), 'utf8')
  const own = Object.entries({ ...files.settings, 'log.dirs': data }).map(([name, value]) => `${name}=${value}\n`)
  writeFileSync(properties, `${base}${own.join('')}`)
  return new ServerProcess({
    name: `kafka ${id}`,
    command: installed(findJava(), 'Java'),
    args: [
      ...javaFlags(installation, heapMiB),
      ...extraJavaFlags,
      '-Dorg.slf4j.simpleLogger.showDateTime=true',
      '-cp',
      kafkaClassPath(installation),
      'kafka.Kafka',
      properties,
    ],
    logFile: join(folder, 'server.log'),
    ready: () => isInCluster(files.broker, id),
  })
}

/** What `kafka-storage format` wrote once at installation, with an identity of its own: saves a JVM start per node. */
function format(installation: string, data: string, clusterId: string, id: number): void {
  cpSync(join(installation, 'formatted'), data, { recursive: true })
  const lines = ['version=1', `cluster.id=${clusterId}`, `node.id=${id}`, `directory.id=${randomId()}`]
  writeFileSync(join(data, 'meta.properties'), `${lines.join('\n')}\n`)
}

/** A Kafka UUID: 16 bytes in URL-safe base64. */
function randomId(): string {
  return randomBytes(16).toString('base64url').replace(/^-/, 'A')
}

/** A client that asks again at once and says nothing. */
export function quietClient(brokers: readonly string[]): Kafka {
  return new Kafka({
    clientId: 'tidemark-test',
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1000,
    requestTimeout: 10_000,
    retry: { initialRetryTime: 30, maxRetryTime: 200, retries: 60 },
  })
}

async function isInCluster(broker: string, id: number): Promise<void> {
  const admin = quietClient([broker]).admin({ retry: { retries: 0 } })
  try {
    await admin.connect()
    const { brokers } = await admin.describeCluster()
    if (!brokers.some(({ nodeId }) => nodeId === id)) throw new Error(`broker ${id} is not in the cluster yet`)
  } finally {
    await admin.disconnect()
  }
}

/** Coordinators are made when they are first asked for: asked here, no test waits for them. */
async function answersFully(brokers: readonly string[]): Promise<void> {
  const client = quietClient(brokers)
  const admin = client.admin()
  const producer = client.producer({ transactionalId: 'tidemark-ready', maxInFlightRequests: 1, idempotent: true })
  try {
    await Promise.all([admin.connect(), producer.connect()])
    await Promise.all([
      until(async () => (await admin.fetchOffsets({ groupId: 'tidemark-ready' })).length === 0),
      until(async () => {
        await (await producer.transaction()).abort()
        return true
      }),
    ])
  } finally {
    await Promise.all([admin.disconnect(), producer.disconnect()])
  }
}
