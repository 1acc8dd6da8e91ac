import { execFileSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'

/** Packages unpacked into the cache folder, not installed: wrk, and the Redis server (in redis-tools, as redis-check-rdb). */
const PACKAGES = [
  'wrk',
  'libluajit-5.1-2',
  'libluajit-5.1-common',
  'redis-tools',
  'liblzf1',
  'libjemalloc2',
  'liblua5.1-0',
  'lua-cjson',
  'lua-bitop',
  'libhiredis0.14',
]

export interface DebianTools {
  readonly wrk: string
  /** Run it under the name `redis-server`. */
  readonly redis: string
  readonly env: Readonly<Record<string, string>>
}

export function openDebianTools(cacheFolder: string): DebianTools {
  const folder = join(cacheFolder, 'debian')
  const root = join(folder, 'root')
  if (!existsSync(join(root, 'usr/bin/wrk')) || !existsSync(join(root, 'usr/bin/redis-check-rdb'))) {
    mkdirSync(root, { recursive: true })
    execFileSync('apt-get', ['download', ...PACKAGES], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
    for (const file of globSync('*.deb', { cwd: folder })) execFileSync('dpkg', ['-x', join(folder, file), root])
  }
  return {
    wrk: join(root, 'usr/bin/wrk'),
    redis: join(root, 'usr/bin/redis-check-rdb'),
    env: { LD_LIBRARY_PATH: globSync(join(root, 'usr/lib/*-linux-gnu')).join(':') },
  }
}
