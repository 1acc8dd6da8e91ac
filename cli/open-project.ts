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
import { openLmdbLog } from '../stores/log/lmdb/open.ts'
import type { MetadataStore } from '../stores/metadata/metadata-store.ts'
import { openTables } from '../stores/tables/open-tables.ts'
import { STATE_GRACE_MS } from '../streams/apply/parked-views.ts'
import type { StreamContext } from '../streams/stream-context.ts'
import { STREAM_LIMITS } from '../streams/stream-limits.ts'
import { failCli } from './errors.ts'
import { DataGates } from './data-gates.ts'
import { projectSettings } from './project-settings.ts'
import { openMetadata, openObjects, openOnline } from './open-engines.ts'
import { openClock } from './simulated-clock.ts'

const DEFAULT_BUCKETS = 256
const DEFAULT_PARTITIONS = 4

/** A project with all its stores open. */
export interface Project extends StreamContext {
  readonly directory: string
  readonly dataFolder: string
  readonly port: number
  /** Epoch ms of the deployment. */
  readonly now: () => number
  readonly isClockSimulated: boolean
  readonly reader: FeatureReader
  readonly gates: DataGates
  /** How long states out of reach are kept. */
  readonly stateGraceMs: number
  /** Which served vectors are logged for verification. */
  readonly served: NonNullable<ProjectConfig['served']>
  /** How much of the served log is kept. */
  readonly servedRetention: ServedRetention
  close(): Promise<void>
}

export async function openProject(directory: string): Promise<Project> {
  const root = resolve(directory)
  // A mistyped folder is not made: nothing would be in it.
  if (statSync(root, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw failCli(
      'TM_PROJECT_MISSING',
      `${directory} is no folder: check --project, or run \`tidemark init ${directory}\``,
    )
  const config = await projectSettings(root, process.env)
  const buckets = config.buckets ?? DEFAULT_BUCKETS
  const partitions = config.partitions ?? DEFAULT_PARTITIONS
  if (buckets % partitions !== 0)
    throw failCli('TM_CONFIG', `partitions (${partitions}) must divide buckets (${buckets})`)
  const dataFolder = join(root, '.tidemark')
  mkdirSync(dataFolder, { recursive: true })
  const now = openClock(dataFolder, config.clock)
  const gates = new DataGates(dataFolder)
  const storesOpen = await gates.openStores()
  const log = await openLmdbLog({ path: join(dataFolder, 'log'), now })
  const online = await openOnline(config.online, dataFolder, now)
  const metadata = await openMetadata(config.metadata, dataFolder)
  const objects = await openObjects(config.objects, dataFolder)
  const tables = await openTables({ temporaryFolder: join(dataFolder, 'duckdb') })
  await keepLayout(metadata, { buckets, partitions })
  const registry = new Registry(metadata)
  const reader = new FeatureReader({ registry, online, buckets, partitions, now })
  const stores = [tables, log, online, metadata, objects]
  return {
    directory: root,
    dataFolder,
    port: config.port ?? 7070,
    now,
    isClockSimulated: config.clock !== undefined,
    log,
    online,
    metadata,
    objects,
    tables,
    registry,
    reader,
    gates,
    stateGraceMs: parseDuration(config.stateGrace ?? '') ?? STATE_GRACE_MS,
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
    close: async () => {
      for (const store of stores) await store.close()
      storesOpen.release()
    },
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
