import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  findJava,
  findPostgres,
  findRedis,
  isComplete,
  KAFKA_FOLDER,
  REGISTRY_FOLDER,
  S3_FOLDER,
} from './installation.ts'
import { findProgram } from './kill-with-parent.ts'

const POLICY = '/usr/sbin/policy-rc.d'
const POSTGRES_POLICY = '/etc/postgresql-common/createcluster.conf'

/** What Debian and Ubuntu call the programs that are missing. */
function missingPackages(): string[] {
  const jarsMissing = !isComplete(KAFKA_FOLDER) || !isComplete(REGISTRY_FOLDER)
  return [
    findJava() === undefined && 'openjdk-17-jre-headless',
    jarsMissing && findProgram('mvn') === undefined && 'maven',
    !isComplete(S3_FOLDER) && !canMakeVenv() && 'python3-venv',
    findRedis() === undefined && 'redis-server',
    findPostgres() === undefined && 'postgresql',
  ].filter((name) => name !== false)
}

function canMakeVenv(): boolean {
  try {
    execFileSync('python3', ['-c', 'import venv, ensurepip'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Installs what is missing by apt, as root; the packages' own system services are not started. */
export function installPackages(): void {
  const packages = missingPackages()
  if (packages.length === 0) return
  const byHand = `apt-get install --no-install-recommends ${packages.join(' ')}`
  if (findProgram('apt-get') === undefined)
    throw new Error(`services: expected the programs of these Debian packages in PATH: ${packages.join(', ')}`)
  if (process.getuid?.() !== 0) throw new Error(`services: some programs are missing. Run: sudo ${byHand}`)
  console.log(`services: ${byHand}`)
  const undo = [
    writeUnlessThere(POLICY, '#!/bin/sh\nexit 101\n', 0o755),
    packages.includes('postgresql') && writeUnlessThere(POSTGRES_POLICY, 'create_main_cluster = false\n', 0o644),
  ]
  try {
    const options = {
      stdio: ['ignore', 'ignore', 'inherit'] as ('ignore' | 'inherit')[],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    }
    execFileSync('apt-get', ['update', '-qq'], options)
    execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], options)
  } finally {
    for (const path of undo) if (typeof path === 'string') rmSync(path)
  }
  const still = missingPackages()
  if (still.length > 0) throw new Error(`services: still missing after ${byHand}: ${still.join(', ')}`)
}

/** The path if it was written, to be removed again; what an administrator put there stays. */
function writeUnlessThere(path: string, text: string, mode: number): string | undefined {
  if (existsSync(path)) return undefined
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text, { mode })
  return path
}
