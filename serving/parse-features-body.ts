import { isUtf8 } from 'node:buffer'
import { parseExactJson } from '../features/values/json-values.ts'
import { failServing } from './errors.ts'
import { closestName } from '../features/errors/closest-name.ts'

type Row = Readonly<Record<string, unknown>>

export interface FeaturesBody {
  readonly entities: readonly Row[]
  /** One for each entity, or none. */
  readonly request: readonly Row[]
  /** Whether rows say which span of time each value covers. */
  readonly intervals: boolean
}

/** Rows that one request may ask for. */
export const ROWS_MAX = 10_000

const PROPERTIES = ['entities', 'request', 'intervals']

const SHAPE =
  'expected a JSON object like {"entities":[{…}]}, with "request":[{…}] where the service has request fields'

/** The body of POST /v1/features/{service}. TM_REQUEST_MALFORMED, TM_REQUEST_TOO_LARGE. */
export function parseFeaturesBody(body: unknown): FeaturesBody {
  if (!Buffer.isBuffer(body) || body.length === 0) throw malformed('the body is empty')
  if (!isUtf8(body)) throw malformed('the body is not UTF-8')
  const parsed = parseJson(body.toString('utf8'))
  if (!isObject(parsed)) throw malformed('the body is not an object')
  for (const name in parsed) if (!PROPERTIES.includes(name)) throw malformed(unknownProperty(name.slice(0, 60)))
  const entities = rowsOf(parsed.entities, 'entities')
  if (entities.length === 0) throw malformed('entities is empty: send at least one')
  const request = parsed.request === undefined ? [] : rowsOf(parsed.request, 'request')
  if (request.length !== 0 && request.length !== entities.length)
    throw malformed(`request has ${request.length} rows, entities ${entities.length}: send one for each entity`)
  const { intervals = false } = parsed
  if (typeof intervals !== 'boolean') throw malformed('intervals is neither true nor false')
  return { entities, request, intervals }
}

function unknownProperty(name: string): string {
  const close = closestName(name, PROPERTIES)
  return `unknown property ${JSON.stringify(name)}${close === null ? '' : ` (did you mean ${JSON.stringify(close)}?)`}`
}

function parseJson(text: string): unknown {
  try {
    return parseExactJson(text)
  } catch (error) {
    if (error instanceof RangeError) throw malformed('the body is nested too deeply')
    throw malformed(`the body is not JSON (${error instanceof Error ? error.message.slice(0, 120) : 'unreadable'})`)
  }
}

function rowsOf(value: unknown, name: string): readonly Row[] {
  if (!Array.isArray(value)) throw malformed(`${name} is ${value === undefined ? 'missing' : 'not a list'}`)
  if (value.length > ROWS_MAX)
    throw failServing(
      'TM_REQUEST_TOO_LARGE',
      `${name} has ${value.length} rows; at most ${ROWS_MAX} are answered at once: send several requests`,
      { details: { rows: value.length, rowsMax: ROWS_MAX } },
    )
  const bad = value.findIndex((row) => !isObject(row))
  if (bad >= 0) throw malformed(`row ${bad} of ${name} is not an object`)
  return value as Row[]
}

function isObject(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function malformed(what: string): Error {
  return failServing('TM_REQUEST_MALFORMED', `${what}: ${SHAPE} (see /openapi.json)`)
}
