import { execFileSync } from 'node:child_process'
import { mkdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { ProjectConfig } from '../features/authoring/project-config.ts'
import { FeatureReader } from '../inference/assemble.ts'
import { SERVED_RETENTION } from '../inference/served-retention.ts'
import type { ServedRetention } from '../inference/served-retention.ts'
import { parseDuration } from '../registry/durations.ts'
import { Registry } from '../registry/registry.ts'
import type { GitState } from '../registry/registry.ts'
import type { MetadataStore } from '../stores/metadata/metadata-store.ts'
import { openTables } from '../stores/tables/open-tables.ts'
import { STATE_GRACE_MS } from '../streams/apply/parked-views.ts'
import type { StreamContext } from '../streams/stream-context.ts'
import { STREAM_LIMITS } from '../streams/stream-limits.ts'
import { failCli } from './errors.ts'
import { DataGates } from './data-gates.ts'
import { projectSettings } from './project-settings.ts'
import { openLog, openMetadata, openObjects, openOnline, openSchemas } from './open-engines.ts'
import { DEFAULT_HOST } from './listen.ts'
import { openClock } from './simulated-clock.ts'

const DEFAULT_BUCKETS = 256
const DEFAULT_PARTITIONS = 4

/** A project with all its stores open. */
export interface Project extends StreamContext {
  readonly directory: string
  readonly dataFolder: string
  /** Where HTTP is answered. */
  readonly host: string
  readonly port: number
  readonly trustNetwork: boolean
  /** Of roles alone; null: nowhere. */
  readonly metricsPort: number | null
  /** Epoch ms of the deployment. */
  readonly now: () => number
  readonly isClockSimulated: boolean
  readonly reader: FeatureReader
  readonly gates: DataGates
  /** How long states out of reach are kept. */
  readonly stateGraceMs: number
  /** How far back the served clock is to be known; Infinity: for ever. */
  readonly flushJournalKeepMs: number
  /** Which served vectors are logged for verification. */
  readonly served: NonNullable<ProjectConfig['served']>
  /** How much of the served log is kept. */
  readonly servedRetention: ServedRetention
  close(): Promise<void>
}

/** Where a project keeps its data. TM_PROJECT_MISSING. */
export function dataFolderOf(directory: string): string {
  // A mistyped folder is not made: nothing would be in it.
  if (statSync(resolve(directory), { throwIfNoEntry: false })?.isDirectory() !== true)
    throw failCli(
      'TM_PROJECT_MISSING',
      `${directory} is no folder: check --project, or run \`tidemark init ${directory}\``,
    )
  return join(resolve(directory), '.tidemark')
}

/** Where it fails nothing stays open. */
export async function openProject(directory: string): Promise<Project> {
  const dataFolder = dataFolderOf(directory)
  const root = resolve(directory)
  const config = await projectSettings(root, process.env)
  const buckets = config.buckets ?? DEFAULT_BUCKETS
  const partitions = config.partitions ?? DEFAULT_PARTITIONS
  if (buckets % partitions !== 0)
    throw failCli('TM_CONFIG', `partitions (${partitions}) must divide buckets (${buckets})`)
  mkdirSync(dataFolder, { recursive: true })
  const now = openClock(dataFolder, config.clock)
  const gates = new DataGates(dataFolder)
  const { close, ...stores } = await openStores(config, { dataFolder, now, gates })
  const { online, metadata } = stores
  try {
    await keepLayout(metadata, { buckets, partitions })
  } catch (error) {
    await close()
    throw error
  }
  const registry = new Registry(metadata)
  return {
    directory: root,
    dataFolder,
    host: config.host ?? DEFAULT_HOST,
    port: config.port ?? 7070,
    trustNetwork: config.trustNetwork ?? false,
    metricsPort: config.metricsPort ?? null,
    now,
    isClockSimulated: config.clock !== undefined,
    ...stores,
    schemas: openSchemas(config.schemaRegistry),
    registry,
    reader: new FeatureReader({ registry, online, buckets, partitions, now }),
    gates,
    stateGraceMs: parseDuration(config.stateGrace ?? '') ?? STATE_GRACE_MS,
    flushJournalKeepMs: parseDuration(config.flushJournal?.keep ?? '') ?? Infinity,
    served: config.served ?? {},
    servedRetention: {
      keepMs: parseDuration(config.served?.keep ?? '') ?? SERVED_RETENTION.keepMs,
      keepBytes: (config.served?.keepMegabytes ?? SERVED_RETENTION.keepBytes / 1e6) * 1e6,
    },
    buckets,
    partitions,
    limits: {
      messageBytesMax: config.maxMessageBytes ?? STREAM_LIMITS.messageBytesMax,
      backlogBytesMax: (config.maxBacklogMegabytes ?? STREAM_LIMITS.backlogBytesMax / 1e6) * 1e6,
    },
    close,
  }
}

interface StorePlace {
  readonly dataFolder: string
  readonly now: () => number
  readonly gates: DataGates
}

async function openStores(
  config: ProjectConfig,
  { dataFolder, now, gates }: StorePlace,
): Promise<Pick<Project, 'log' | 'online' | 'metadata' | 'objects' | 'tables' | 'close'>> {
  const storesOpen = await gates.openStores()
  const opened: { close(): Promise<void> }[] = []
  const close = async (): Promise<void> => {
    for (const store of opened.toReversed()) await store.close()
    storesOpen.release()
  }
  const keep = async <T extends { close(): Promise<void> }>(opening: Promise<T>): Promise<T> => {
    const store = await opening
    opened.push(store)
    return store
  }
  try {
    return {
      log: await keep(openLog(config.log, dataFolder, now)),
      online: await keep(openOnline(config.online, dataFolder, now)),
      metadata: await keep(openMetadata(config.metadata, dataFolder)),
      objects: await keep(openObjects(config.objects, dataFolder)),
      tables: await keep(openTables({ temporaryFolder: join(dataFolder, 'duckdb') })),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

interface Layout {
  readonly buckets: number
  readonly partitions: number
}

/** Buckets and partitions are fixed with the first use of a deployment: where an event or a state lies follows from them. TM_CONFIG. */
async function keepLayout(metadata: MetadataStore, layout: Layout): Promise<void> {
  const held = await metadata.readProgress<Layout>('deployment', 'layout')
  if (held === null) return metadata.writeProgress('deployment', 'layout', layout)
  for (const setting of ['buckets', 'partitions'] as const) {
    if (held[setting] === layout[setting]) continue
    throw failCli(
      'TM_CONFIG',
      `${setting} is ${layout[setting]}, but this data folder was begun with ${held[setting]}: set it back, or use a fresh data folder and import the history there`,
      { details: { setting, expected: held[setting], found: layout[setting] } },
    )
  }
}

/** Commit and cleanliness of the project's git checkout, if it is one. */
export function gitState(directory: string): GitState {
  try {
    const run = (...args: string[]): string =>
      execFileSync('git', ['-C', directory, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
    return { commit: run('rev-parse', 'HEAD'), dirty: run('status', '--porcelain', '.') !== '' }
  } catch {
    return { commit: null, dirty: false }
  }
}
