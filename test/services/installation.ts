import { existsSync, globSync, readFileSync, realpathSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { findProgram, isExecutable } from './kill-with-parent.ts'

export type ServiceName = 'kafka' | 'redis' | 'postgres' | 'registry' | 's3'

/** Pinned here, in kafka/pom.xml and in s3/requirements.txt. */
export const KAFKA_VERSION = '4.4.0'
/** The newest that runs on Java 17. */
export const REGISTRY_VERSION = '3.0.9'
export const MOTO_VERSION = '5.2.5'
export const JAVA_MAJOR_MIN = 17

/** Where `npm run services` puts what it fetches. */
export const SERVICES_FOLDER = process.env.TIDEMARK_SERVICES ?? join(homedir(), '.cache', 'tidemark-services')
export const KAFKA_FOLDER = join(SERVICES_FOLDER, `kafka-${KAFKA_VERSION}`)
export const REGISTRY_FOLDER = join(SERVICES_FOLDER, `apicurio-${REGISTRY_VERSION}`)
export const S3_FOLDER = join(SERVICES_FOLDER, `moto-${MOTO_VERSION}`)

/** Written last: a folder without it is not whole. */
export const COMPLETE = 'complete'

export interface PostgresPrograms {
  readonly initdb: string
  readonly postgres: string
}

/** Why tests that need these servers are skipped, or false. With TIDEMARK_REQUIRE_SERVICES=1 an absence is a failure. */
export function missing(...names: readonly ServiceName[]): string | false {
  const absent = names.filter((name) => !isInstalled(name))
  if (absent.length === 0) return false
  const reason = `${absent.join(', ')} not installed: run \`npm run services\``
  if (servicesRequired()) throw new Error(reason)
  return reason
}

export function servicesRequired(): boolean {
  return !['', '0'].includes(process.env.TIDEMARK_REQUIRE_SERVICES ?? '')
}

export function isInstalled(name: ServiceName): boolean {
  switch (name) {
    case 'kafka':
      return findJava() !== undefined && isComplete(KAFKA_FOLDER)
    case 'registry':
      return findJava() !== undefined && isComplete(REGISTRY_FOLDER)
    case 's3':
      return isComplete(S3_FOLDER)
    case 'redis':
      return findRedis() !== undefined
    case 'postgres':
      return findPostgres() !== undefined
  }
}

export function isComplete(folder: string): boolean {
  return existsSync(join(folder, COMPLETE))
}

/** What must be there, once `missing` has said that it is. */
export function installed<T>(found: T | undefined, what: string): T {
  if (found === undefined) throw new Error(`${what} is not installed: run \`npm run services\``)
  return found
}

/** A Java of JAVA_MAJOR_MIN or later: that of JAVA_HOME, else that of PATH. */
export function findJava(): string | undefined {
  const home = process.env.JAVA_HOME
  const java = home === undefined ? findProgram('java') : join(home, 'bin', 'java')
  if (java === undefined || !isExecutable(java)) return undefined
  const release = join(dirname(dirname(realpathSync(java))), 'release')
  const version = existsSync(release) ? /JAVA_VERSION="(\d+)/.exec(readFileSync(release, 'utf8')) : null
  return version !== null && Number(version[1]) >= JAVA_MAJOR_MIN ? java : undefined
}

export function findRedis(): string | undefined {
  return process.env.TIDEMARK_REDIS_SERVER ?? findProgram('redis-server')
}

/** Programs of PostgreSQL: those of PATH, else the newest where Debian and Ubuntu keep them. */
export function findPostgres(): PostgresPrograms | undefined {
  const path = findProgram('postgres')
  const folders = globSync('/usr/lib/postgresql/*/bin').sort((a, b) => majorOf(b) - majorOf(a))
  if (path !== undefined) folders.unshift(dirname(path))
  return folders
    .map((folder) => ({ initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') }))
    .find(({ initdb, postgres }) => isExecutable(initdb) && isExecutable(postgres))
}

function majorOf(folder: string): number {
  return Number(/\/(\d+)\/bin$/.exec(folder)?.[1] ?? 0)
}

/** The jars of Kafka in the order that its class archive was made with. */
export function kafkaClassPath(folder = KAFKA_FOLDER): string {
  return globSync(join(folder, 'lib', '*.jar'))
    .sort()
    .join(':')
}

/** Flags for a JVM that is up fast rather than fast for long; with the class archive of the installation if there is one. */
export function javaFlags(folder: string, heapMiB: number): string[] {
  const archive = join(folder, CLASS_ARCHIVE)
  return [
    `-Xms${heapMiB}m`,
    `-Xmx${heapMiB}m`,
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-Djava.awt.headless=true',
    '-Djava.net.preferIPv4Stack=true',
    ...(existsSync(archive) ? [`-XX:SharedArchiveFile=${archive}`, '-Xshare:auto'] : []),
  ]
}

export const CLASS_ARCHIVE = 'classes.jsa'
