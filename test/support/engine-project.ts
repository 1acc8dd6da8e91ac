import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { TestContext } from 'node:test'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { openProject } from '../../cli/open-project.ts'
import type { Project } from '../../cli/open-project.ts'
import { openLmdbLog } from '../../stores/log/lmdb/open.ts'
import type { Log } from '../../stores/log/log.ts'
import { openLmdbOnline } from '../../stores/online/lmdb/open.ts'
import { archiveFiles } from '../../stores/tables/archive-files.ts'
import { ApplyRole } from '../../streams/apply/apply-role.ts'
import { startPostgres } from '../services/postgres.ts'
import type { PostgresServer } from '../services/postgres.ts'
import { startRedis } from '../services/redis.ts'
import type { RedisServer } from '../services/redis.ts'
import { startS3 } from '../services/s3.ts'
import type { S3Server } from '../services/s3.ts'
import { allStates } from './all-states.ts'
import { tidemarkJson } from './cli-process.ts'
import { temporaryFolder } from './folders.ts'
import { query } from './platform.ts'
import { PAYMENTS, temporaryProject } from './project.ts'
import type { Random } from './random.ts'

// The server of the tests takes any. Before the process that runs commands is started, which has them from this one.
process.env.AWS_ACCESS_KEY_ID = 'tidemark'
process.env.AWS_SECRET_ACCESS_KEY = 'tidemark'

export const CARDS = 20
const HOUR = 3_600_000

const LAYOUT = { buckets: 16, partitions: 4 }

export interface Servers {
  readonly redis: RedisServer
  readonly postgres: PostgresServer
  readonly s3: S3Server
}

/** A project on engines of its own that things happen to, under events that come whatever is away: its log is embedded. */
export class EngineProject {
  readonly folder: string
  /** null: embedded stores. */
  readonly #servers: Servers | null
  readonly #random: Random
  readonly #context: TestContext
  #log: Log | null = null
  #sent = 0

  private constructor(context: TestContext, random: Random, folder: string, servers: Servers | null) {
    this.#context = context
    this.#random = random
    this.folder = folder
    this.#servers = servers
  }

  /** On embedded stores. */
  static async embedded(context: TestContext, random: Random): Promise<EngineProject> {
    return EngineProject.#make(context, random, LAYOUT, null)
  }

  static async open(context: TestContext, random: Random): Promise<EngineProject> {
    const [redis, postgres, s3] = await Promise.all([startRedis(), startPostgres(), startS3()])
    for (const { stop } of [redis, postgres, s3]) context.after(stop)
    const client = new S3Client({
      endpoint: s3.url,
      forcePathStyle: true,
      region: 'us-east-1',
      credentials: s3.credentials,
    })
    const Bucket = `b-${randomUUID()}`
    await client.send(new CreateBucketCommand({ Bucket }))
    client.destroy()
    const settings = {
      ...LAYOUT,
      online: redis.url,
      metadata: postgres.url,
      objects: `s3://${Bucket}/tidemark?endpoint=${s3.url}`,
    }
    return EngineProject.#make(context, random, settings, { redis, postgres, s3 })
  }

  static async #make(
    context: TestContext,
    random: Random,
    settings: Readonly<Record<string, unknown>>,
    servers: Servers | null,
  ): Promise<EngineProject> {
    const folder = temporaryProject(context, {
      'features/card.ts': PAYMENTS.replace('schema: {', 'schema: { id: t.string(),'),
      'tidemark.config.ts': `export default ${JSON.stringify(settings)}`,
    })
    await tidemarkJson(folder, 'apply')
    // Makes the topics.
    await tidemarkJson(folder, 'wait', '--timeout', '60s')
    return new EngineProject(context, random, folder, servers)
  }

  get servers(): Servers {
    assert.ok(this.#servers !== null, 'on engines')
    return this.#servers
  }

  /** Appends events to the source's topic. */
  async append(count: number): Promise<void> {
    if (this.#log === null) {
      const log = await openLmdbLog({ path: `${this.folder}/.tidemark/log`, now: Date.now })
      this.#context.after(() => log.close())
      this.#log = log
    }
    const lines = Array.from({ length: count }, () =>
      JSON.stringify({
        id: `e${this.#sent++}`,
        card_id: `c-${this.#random.below(CARDS)}`,
        merchant: this.#random.pick(['a', 'b', null]),
        amount: this.#random.pick([0.1, 0.2, 12.5, 1e16, -1]),
        paid_at: Date.now() - this.#random.below(72 * HOUR),
      }),
    )
    await this.#log.append('source.payments', 0, [Buffer.from(lines.join('\n'))])
  }

  /** When no process works any more: states are, byte for byte, those of all events of the keyed log applied once, and the archive holds every event that was sent, each once. */
  async verdict(): Promise<void> {
    const project = await openProject(this.folder)
    this.#context.after(() => project.close())
    const ids = Array.from({ length: this.#sent }, (_, i) => `e${i}`)
    await assertEachOnce(this.#context, project, ids)
  }
}

/** States are, byte for byte, those of all events of the keyed log applied once, and the archive holds the events with these ids, each once. They are of all cards. */
export async function assertEachOnce(context: TestContext, project: Project, ids: readonly string[]): Promise<void> {
  assert.deepEqual(await archivedIds(project), ids.toSorted(), 'the archive holds every event once')
  const online = await openLmdbOnline({ path: await temporaryFolder(context), now: Date.now })
  const fresh = { ...project, online }
  const role = new ApplyRole(fresh)
  while ((await role.runOnce()) > 0);
  const expected = await allStates(fresh)
  assert.equal(expected.size, CARDS)
  assert.deepEqual(await allStates(project), expected)
  await online.close()
}

async function archivedIds(project: Project): Promise<string[]> {
  const topic = await project.log.topic('keyed.payments.card')
  assert.ok(topic !== null)
  const ids: string[] = []
  for (let partition = 0; partition < topic.partitions; partition++)
    for (const { name } of await archiveFiles(project, {
      keyedLog: 'payments.card',
      incarnation: topic.incarnation,
      partition,
    }))
      for (const { id } of await query(`SELECT id FROM read_parquet('${await project.objects.localPath(name)}')`))
        ids.push(String(id))
  return ids.toSorted()
}
