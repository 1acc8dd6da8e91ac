import { STATUS_NAMES } from '../features/aggregation/result-column.ts'
import { ROWS_MAX } from './parse-features-body.ts'

/*
 * The shapes of requests and answers, as OpenAPI shows them. Requests are parsed by hand (exact numbers, exact messages), answers are written by hand (no
 * rounding of numbers): a test holds real answers against these schemas.
 */
const VERSION = { type: 'string', pattern: '^[0-9a-f]{64}$', description: 'SHA-256' } as const
const ROW = { type: 'object', additionalProperties: true } as const

export const ERROR = {
  type: 'object',
  required: ['error', 'code', 'details'],
  additionalProperties: false,
  properties: {
    error: { type: 'string', description: 'What, what was expected, what to do' },
    code: { type: 'string', pattern: '^TM_[A-Z_]+$', description: 'See docs/errors.md' },
    details: { type: 'object', additionalProperties: true },
  },
} as const

const STAMP = {
  type: 'object',
  required: ['view', 'version', 'incarnation', 'partition', 'nextOffset'],
  additionalProperties: false,
  properties: {
    view: { type: 'string' },
    version: VERSION,
    incarnation: { type: 'string', description: 'Of the keyed log; empty where nothing was ever stored' },
    partition: { type: 'integer', minimum: 0 },
    nextOffset: { type: 'string', pattern: '^[0-9]+$', description: 'Events at offsets below it were seen' },
  },
} as const

const INTERVAL = {
  type: 'array',
  items: { type: 'integer' },
  minItems: 2,
  maxItems: 2,
  description: 'Events that counted at from ≤ τ < to, epoch ms; `to` is evaluatedAt',
} as const

const ANSWER = {
  type: 'object',
  required: ['service', 'version', 'features', 'rows'],
  additionalProperties: false,
  properties: {
    service: { type: 'string' },
    version: VERSION,
    clock: { type: 'string', enum: ['simulated'], description: "Present where the deployment's clock is simulated" },
    features: {
      type: 'array',
      items: { type: 'string' },
      description: 'Names of the values: features, request fields, derived',
    },
    rows: {
      type: 'array',
      items: {
        type: 'object',
        required: ['values', 'statuses', 'evaluatedAt', 'stamps'],
        additionalProperties: false,
        properties: {
          values: {
            type: 'array',
            items: {},
            description:
              'In the order of `features`. Doubles round-trip; int64 are numbers with all their digits; timestamps epoch ms; bytes base64',
          },
          statuses: { type: 'array', items: { type: 'string', enum: STATUS_NAMES } },
          evaluatedAt: { type: 'integer', description: 'Epoch ms' },
          stamps: { type: 'array', items: STAMP },
          intervals: {
            type: 'array',
            items: { anyOf: [{ type: 'null' }, INTERVAL] },
            description:
              'If asked for, in the order of `features`; null: no window (lifetime, latest, request, derived)',
          },
        },
      },
    },
  },
} as const

const REQUEST_ID = {
  'x-request-id': { schema: { type: 'string' }, description: "The caller's, or a new one; the served log has it" },
} as const

function refused(description: string, headers: object = REQUEST_ID) {
  return { description, headers, content: { 'application/json': { schema: ERROR } } }
}

const RETRY_AFTER = { ...REQUEST_ID, 'retry-after': { schema: { type: 'integer' }, description: 'Seconds' } } as const

/** Schema of POST /v1/features/{service}. */
export const FEATURES_ROUTE = {
  operationId: 'readFeatures',
  summary: 'Feature vectors of entities, with statuses and stamps',
  params: {
    type: 'object',
    properties: { service: { type: 'string', description: 'Name of a feature service, or one of its versions' } },
    required: ['service'],
  },
  body: {
    type: 'object',
    required: ['entities'],
    additionalProperties: false,
    properties: {
      entities: {
        type: 'array',
        items: ROW,
        minItems: 1,
        maxItems: ROWS_MAX,
        description: 'Entity keys by column name. A null key makes the features of its views MISSING',
      },
      request: { type: 'array', items: ROW, description: 'Request fields, one row for each entity' },
      intervals: { type: 'boolean', description: 'True: rows have `intervals`, which span of time each value covers' },
    },
  },
  response: {
    200: {
      description: 'Vectors in the order of the entities',
      headers: REQUEST_ID,
      content: { 'application/json': { schema: ANSWER } },
    },
    400: refused('Malformed: the message says what was expected'),
    404: refused('No such service'),
    413: refused('The body or the number of rows is too large'),
    422: refused('Valid but refused'),
    500: refused('An unexpected failure'),
    503: refused('Not ready: try again', RETRY_AFTER),
  },
} as const

const json = (description: string, schema: object) => ({ description, content: { 'application/json': { schema } } })

const READINESS = {
  type: 'object',
  required: ['ready', 'reasons'],
  additionalProperties: false,
  properties: { ready: { type: 'boolean' }, reasons: { type: 'array', items: { type: 'string' } } },
} as const

export const HEALTH_ROUTE = {
  operationId: 'health',
  summary: 'Alive',
  response: {
    200: json('Alive', {
      type: 'object',
      required: ['status'],
      additionalProperties: false,
      properties: { status: { type: 'string', enum: ['ok'] } },
    }),
  },
} as const

export const READY_ROUTE = {
  operationId: 'ready',
  summary: 'Ready or not, with reasons; partitions that are stopped are named although the others are served',
  response: { 200: json('Ready', READINESS), 503: json('Not ready', READINESS) },
} as const

export const METRICS_ROUTE = {
  operationId: 'metrics',
  summary: 'Metrics in the text format of Prometheus',
  response: { 200: { description: 'Metrics', content: { 'text/plain': { schema: { type: 'string' } } } } },
} as const
