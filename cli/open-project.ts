import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { FeatureReader } from '../inference/assemble.ts'
import { loadConfig } from '../registry/load-project.ts'
import { Registry } from '../registry/registry.ts'
import type { GitState } from '../registry/registry.ts'
import { openLmdbLog } from '../stores/log/lmdb/open.ts'
import { openSqliteMetadata } from '../stores/metadata/sqlite/open.ts'
import { openFileObjects } from '../stores/objects/files/open.ts'
import { openLmdbOnline } from '../stores/online/lmdb/open.ts'
import { openTables } from '../stores/tables/open-tables.ts'
import type { StreamContext } from '../streams/stream-context.ts'
import { failCli } from './errors.ts'
import { openClock } from './simulated-clock.ts'

const DEFAULT_BUCKETS = 256
const DEFAULT_PARTITIONS = 4
const ENGINES = ['log', 'online', 'metadata', 'objects'] as const

/** A project with all its stores open. */
export interface Project extends StreamContext {
  readonly directory: string
  readonly dataFolder: string
  readonly port: number
  /** Epoch ms of the deployment. */
  readonly now: () => number
  readonly isClockSimulated: boolean
  readonly reader: FeatureReader
  /** Which served vectors are logged for verification. */
  readonly served: { readonly share?: number; readonly rowsPerSecondMax?: number }
  close(): Promise<void>
}

export async function openProject(directory: string): Promise<Project> {
  const root = resolve(directory)
  const config = await loadConfig(root)
  for (const engine of ENGINES) {
    const setting = process.env[`TIDEMARK_${engine.toUpperCase()}`] ?? config[engine] ?? 'embedded'
    if (setting !== 'embedded')
      throw failCli(
        'TM_CONFIG',
        `TIDEMARK_${engine.toUpperCase()} is ${setting}: this version has the embedded store only; unset it`,
      )
  }
  const buckets = config.buckets ?? DEFAULT_BUCKETS
  const partitions = config.partitions ?? DEFAULT_PARTITIONS
  if (buckets % partitions !== 0)
    throw failCli('TM_CONFIG', `partitions (${partitions}) must divide buckets (${buckets})`)
  const dataFolder = join(root, '.tidemark')
  mkdirSync(dataFolder, { recursive: true })
  const now = openClock(dataFolder, config.clock)
  const log = await openLmdbLog({ path: join(dataFolder, 'log'), now })
  const online = await openLmdbOnline({ path: join(dataFolder, 'online'), now })
  const metadata = await openSqliteMetadata(join(dataFolder, 'metadata.sqlite'))
  const objects = await openFileObjects({ path: join(dataFolder, 'objects') })
  const tables = await openTables({ temporaryFolder: join(dataFolder, 'duckdb') })
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
    served: config.served ?? {},
    buckets,
    partitions,
    close: async () => {
      for (const store of stores) await store.close()
    },
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
