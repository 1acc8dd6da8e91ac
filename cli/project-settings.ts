import type { ProjectConfig } from '../features/authoring/project-config.ts'
import { describeValue } from '../registry/describe-value.ts'
import { parseDuration } from '../registry/durations.ts'
import { loadConfig } from '../registry/load-project.ts'
import { withoutPassword } from '../stores/without-password.ts'
import { failCli } from './errors.ts'

/** What is expected of a setting where a value is not that, or null. Names of environment variables are given where these win. */
type Check = (value: unknown) => string | null

const ENVIRONMENT = {
  log: 'TIDEMARK_LOG',
  online: 'TIDEMARK_ONLINE',
  metadata: 'TIDEMARK_METADATA',
  objects: 'TIDEMARK_OBJECTS',
  schemaRegistry: 'TIDEMARK_SCHEMA_REGISTRY',
  host: 'TIDEMARK_HOST',
  port: 'TIDEMARK_PORT',
  trustNetwork: 'TIDEMARK_TRUST_NETWORK',
  metricsPort: 'TIDEMARK_METRICS_PORT',
} as const

const BUCKETS_MAX = 65_536
/** Any event without long texts fits. */
const MESSAGE_BYTES_LEAST = 16_384

const CHECKS: { readonly [K in keyof ProjectConfig]-?: Check } = {
  log: logEngine,
  online: onlineEngine,
  metadata: metadataEngine,
  objects: objectsEngine,
  schemaRegistry: httpAddress,
  host: hostName,
  port: wholeNumber(0, 65_535),
  trustNetwork: trueOrFalse,
  metricsPort: wholeNumber(0, 65_535),
  buckets: wholeNumber(1, BUCKETS_MAX),
  partitions: wholeNumber(1, BUCKETS_MAX),
  maxMessageBytes: wholeNumber(MESSAGE_BYTES_LEAST, 1 << 30),
  maxBacklogMegabytes: numberBetween(0.1, Number.MAX_SAFE_INTEGER / 1e6),
  clock: checkClock,
  stateGrace: checkDuration,
  flushJournal: object({ keep: checkDuration }),
  served: object({
    share: numberBetween(0, 1),
    rowsPerSecondMax: numberBetween(0, Number.MAX_SAFE_INTEGER),
    keep: checkDuration,
    keepMegabytes: numberBetween(1, Number.MAX_SAFE_INTEGER),
  }),
}

/** The settings of a project's `tidemark.config.ts`, with the environment's in their place where those are set. TM_CONFIG names the setting. */
export async function projectSettings(root: string, environment: NodeJS.ProcessEnv): Promise<ProjectConfig> {
  const config: Record<string, unknown> = { ...(await loadConfig(root)) }
  for (const [name, value] of Object.entries(config)) {
    const check = (CHECKS as Readonly<Record<string, Check | undefined>>)[name]
    if (check === undefined)
      throw failCli(
        'TM_CONFIG',
        `tidemark.config.ts has the unknown setting ${name}; known are ${Object.keys(CHECKS).join(', ')}`,
      )
    const expected = value === undefined ? null : check(value)
    if (expected !== null)
      throw failCli('TM_CONFIG', `${name} in tidemark.config.ts ${expected}`, { details: { setting: name } })
  }
  for (const [name, variable] of Object.entries(ENVIRONMENT)) {
    const text = environment[variable]
    if (text === undefined || text === '') continue
    const value = parseVariable(name, text)
    const expected = CHECKS[name as keyof typeof ENVIRONMENT](value)
    if (expected !== null) throw failCli('TM_CONFIG', `${variable} ${expected}`, { details: { setting: variable } })
    config[name] = value
  }
  const { clock, online = 'embedded', log = 'embedded' }: ProjectConfig = config
  const served = Object.entries({ online, log }).find(([, engine]) => engine !== 'embedded')
  if (clock !== undefined && served !== undefined)
    throw failCli(
      'TM_CONFIG',
      `clock is set, and a simulated clock works with embedded stores only: unset it, or ${served[0]}`,
      { details: { setting: 'clock' } },
    )
  return config
}

/** Of a setting that is no text in the configuration either, what the text says; the text where it says nothing that could be meant. */
function parseVariable(name: string, text: string): unknown {
  if (name === 'port' || name === 'metricsPort') return /^\d+$/.test(text) ? Number(text) : text
  if (name === 'trustNetwork' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}

function hostName(value: unknown): string | null {
  if (typeof value === 'string' && /^[^\s/@]+$/.test(value) && !/^[^:]+:\d+$/.test(value)) return null
  return `must be a name or an address without a port, as '127.0.0.1', '::1' or '0.0.0.0', found ${describeValue(value)}`
}

function trueOrFalse(value: unknown): string | null {
  return typeof value === 'boolean' ? null : `must be true or false, found ${describeValue(value)}`
}

function logEngine(value: unknown): string | null {
  if (value === 'embedded' || (typeof value === 'string' && value.startsWith('kafka://'))) return null
  return `must be 'embedded' or kafka://host:port,host:port, found ${describeValue(value)}`
}

const REDIS_SCHEMES = /^(rediss?|redis-cluster|redis-sentinel):\/\//

function onlineEngine(value: unknown): string | null {
  if (value === 'embedded' || (typeof value === 'string' && REDIS_SCHEMES.test(value))) return null
  return `must be 'embedded', redis://host:port, rediss://host:port, redis-cluster://host:port,host:port or redis-sentinel://host:port,host:port/primary-name, found ${describeValue(value)}`
}

function metadataEngine(value: unknown): string | null {
  if (value === 'embedded' || (typeof value === 'string' && /^postgres(ql)?:\/\//.test(value))) return null
  return `must be 'embedded' or postgres://user:password@host:port/database, found ${describeValue(value)}`
}

/** A folder may have any name but one that looks like the address of something else. */
function objectsEngine(value: unknown): string | null {
  const isAddress = typeof value === 'string' && /^[a-z0-9+.-]+:\/\//i.test(value)
  if (typeof value === 'string' && value !== '' && (!isAddress || value.startsWith('s3://'))) return null
  return `must be 'embedded', a folder or s3://bucket/prefix, found ${describeValue(value)}`
}

function httpAddress(value: unknown): string | null {
  if (typeof value === 'string' && /^https?:\/\/./.test(value) && URL.canParse(value)) return null
  return `must be http://host:port or https://user:password@host:port/path, found ${describeValue(typeof value === 'string' ? withoutPassword(value) : value)}`
}

function wholeNumber(least: number, greatest: number): Check {
  return (value) =>
    Number.isInteger(value) && Number(value) >= least && Number(value) <= greatest
      ? null
      : `must be a whole number from ${least} to ${greatest}, found ${describeValue(value)}`
}

function numberBetween(least: number, greatest: number): Check {
  return (value) =>
    typeof value === 'number' && value >= least && value <= greatest
      ? null
      : `must be a number from ${least} to ${greatest}, found ${describeValue(value)}`
}

function checkDuration(value: unknown): string | null {
  return typeof value === 'string' && parseDuration(value) !== null
    ? null
    : `must be a duration, as in '30d', found ${describeValue(value)}`
}

/** An object with some of these settings. */
function object(checks: Readonly<Record<string, Check>>): Check {
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return `must be an object with ${Object.keys(checks).join(', ')}, found ${describeValue(value)}`
    for (const [name, item] of Object.entries(value)) {
      const check = Object.hasOwn(checks, name) ? checks[name] : undefined
      if (check === undefined) return `has the unknown setting ${name}; known are ${Object.keys(checks).join(', ')}`
      const expected = item === undefined ? null : check(item)
      if (expected !== null) return `has ${name}, which ${expected}`
    }
    return null
  }
}

function checkClock(value: unknown): string | null {
  const problem = object({
    from: (from) =>
      typeof from === 'string' && /(Z|[+-]\d\d:?\d\d)$/i.test(from) && Number.isFinite(Date.parse(from))
        ? null
        : `must be an ISO-8601 time with a time zone, as in '2001-06-01T00:00Z', found ${describeValue(from)}`,
    rate: (rate) =>
      typeof rate === 'number' && Number.isFinite(rate) && rate > 0
        ? null
        : `must be a number above 0 (1: real time; 1440: a day a minute), found ${describeValue(rate)}`,
  })(value)
  if (problem !== null) return problem
  const { from, rate } = value as { from?: unknown; rate?: unknown }
  return from === undefined || rate === undefined ? 'must have from and rate, both' : null
}
