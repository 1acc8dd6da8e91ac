import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runForJson, start, waitForAnswer } from './child-process.ts'
import type { Running } from './child-process.ts'
import type { DebianTools } from './debian-tools.ts'

const REDIS_PORT = 16399
const PORT = 16566
const FILES = join(import.meta.dirname, 'feast')
const VIEW_ENDS = [13, 26, 38, 50]

export interface FeastPeer extends Running {
  readonly url: string
  readonly pid: number
  /** The values that it serves for a route. */
  read(route: string): Promise<(number | null)[]>
  inProcess(seconds: number): Promise<{ p50Ms: number; p99Ms: number }>
}

const FEATURES = Array.from({ length: 50 }, (_, i) => {
  const view = VIEW_ENDS.findIndex((end) => i < end)
  return `v${view}:r${String(i).padStart(2, '0')}`
})

/** The body of its fastest path: a feature list, one route. */
export function feastBody(route: string): string {
  return JSON.stringify({ features: FEATURES, entities: { route: [route] } })
}

/** Feast 0.67 with Redis, filled with the given vectors, served by one worker. Installs itself into the cache folder on first use. */
export async function startFeast(
  cacheFolder: string,
  tools: DebianTools,
  vectors: readonly { readonly route: string; readonly values: readonly (number | null)[] }[],
): Promise<FeastPeer> {
  const python = install(join(cacheFolder, 'feast-0.67.0'))
  const folder = join(cacheFolder, 'feast-0.67.0', 'project')
  mkdirSync(folder, { recursive: true })
  // Only the definitions: `feast apply` runs every Python file of its folder.
  for (const file of ['feature_store.yaml', 'definitions.py']) cpSync(join(FILES, file), join(folder, file))
  writeFileSync(join(folder, 'vectors.jsonl'), `${vectors.map((vector) => JSON.stringify(vector)).join('\n')}\n`)
  const redis = start(
    tools.redis,
    ['--port', String(REDIS_PORT), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder],
    { argv0: 'redis-server', stdio: 'ignore', env: { ...process.env, ...tools.env } },
  )
  try {
    const server = await fillAndServe(python, folder)
    return {
      ...server,
      stop: async () => {
        await server.stop()
        await redis.stop()
      },
    }
  } catch (error) {
    await redis.stop()
    throw error
  }
}

async function fillAndServe(python: string, folder: string): Promise<FeastPeer> {
  const quiet = { cwd: folder, stdio: 'ignore' as const }
  const feast = join(python, '..', 'feast')
  execFileSync(python, [join(FILES, 'prepare.py')], quiet)
  execFileSync(feast, ['apply'], quiet)
  execFileSync(feast, ['materialize', '2001-06-30T00:00:00', '2001-07-02T00:00:00'], quiet)
  const server = start(feast, ['serve', '-p', String(PORT), '-w', '1', '--no-access-log', '--max-requests', '0'], {
    cwd: folder,
    stdio: 'ignore',
  })
  const url = `http://127.0.0.1:${PORT}`
  await waitForAnswer(`${url}/health`, 60_000)
  return {
    url,
    pid: server.child.pid ?? 0,
    read: async (route) => {
      const answer = await fetch(`${url}/get-online-features`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: feastBody(route),
      })
      const { metadata, results } = (await answer.json()) as {
        metadata: { feature_names: string[] }
        results: { values: (number | null)[] }[]
      }
      const byName = new Map(metadata.feature_names.map((name, i) => [name, results[i].values[0]]))
      return FEATURES.map((name) => byName.get(name.split(':')[1]) ?? null)
    },
    inProcess: (seconds) => runForJson(python, [join(FILES, 'in_process.py'), String(seconds)], { cwd: folder }),
    stop: server.stop,
  }
}

function install(folder: string): string {
  const python = join(folder, 'venv/bin/python')
  if (existsSync(join(folder, 'venv/bin/feast'))) return python
  mkdirSync(folder, { recursive: true })
  execFileSync('python3', ['-m', 'venv', join(folder, 'venv')], { stdio: 'inherit' })
  execFileSync(python, ['-m', 'pip', 'install', '-q', '-r', join(FILES, 'requirements.txt')], { stdio: 'inherit' })
  return python
}
