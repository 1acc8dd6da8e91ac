import { randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import swagger from '@fastify/swagger'
import { Counter, Histogram, Registry as Metrics } from 'prom-client'
import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import type { CompiledService } from '../features/kernel/compiled-view.ts'
import { valueToJson } from '../features/values/json-values.ts'
import { encodeCell } from '../features/values/value-bytes.ts'
import { FeatureReader } from '../inference/assemble.ts'
import type { ServedVector } from '../inference/assemble.ts'
import type { ServedRow } from '../inference/served-log.ts'
import type { Registry } from '../registry/registry.ts'
import { failServing } from './errors.ts'
import { FEATURES_ROUTE } from './schemas.ts'

export interface AppOptions {
  readonly registry: Registry
  readonly reader: FeatureReader
  /** Takes the rows of a request that are to be logged for verification. */
  readonly logServed: (rows: readonly ServedRow[]) => void
  /** Why the server is not ready; empty: it is. */
  readonly unready: () => Promise<readonly string[]>
  /** How long a name → version lookup may be reused. */
  readonly aliasMs?: number
}

interface FeaturesBody {
  readonly entities: readonly Record<string, unknown>[]
  readonly request?: readonly Record<string, unknown>[]
}

/** The HTTP surface, apart from listening. */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const app = Fastify({ bodyLimit: 8 << 20, ajv: { customOptions: { coerceTypes: false, removeAdditional: false } } })
  const metrics = new Metrics()
  const requests = new Counter({
    name: 'tidemark_feature_requests_total',
    help: 'Feature requests by service and status.',
    labelNames: ['service', 'status'],
    registers: [metrics],
  })
  const rows = new Counter({
    name: 'tidemark_feature_rows_total',
    help: 'Vectors served.',
    labelNames: ['service'],
    registers: [metrics],
  })
  const seconds = new Histogram({
    name: 'tidemark_feature_request_seconds',
    help: 'Time of a feature request.',
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1],
    registers: [metrics],
  })
  await app.register(swagger, { openapi: { info: { title: 'Tidemark', version: '1' } } })
  setErrors(app)
  const services = new ServiceNames(options)

  app.post<{ Params: { service: string }; Body: FeaturesBody }>(
    '/v1/features/:service',
    { schema: FEATURES_ROUTE },
    async (request, reply) => {
      const end = seconds.startTimer()
      const { entities, request: fields = [] } = request.body
      let service = await services.find(request.params.service)
      if (fields.length !== 0 && fields.length !== entities.length) {
        throw failServing(
          'TM_REQUEST_MALFORMED',
          `request has ${fields.length} rows, entities ${entities.length}: send one for each entity`,
        )
      }
      const vectors = await options.reader.read(service, entities, fields).catch(async (error: unknown) => {
        // The name may have moved to another version since it was looked up, and the views of the old one left.
        if (!isTidemarkError(error) || error.code !== 'TM_SERVICE_NOT_READY') throw error
        const found = await services.find(request.params.service, true)
        if (found.version === service.version) throw error
        service = found
        return options.reader.read(service, entities, fields)
      })
      options.logServed(vectors.map((vector, i) => servedRow(service, vector, entities[i], fields[i] ?? {})))
      requests.inc({ service: service.plan.name, status: '200' })
      rows.inc({ service: service.plan.name }, vectors.length)
      end()
      return reply.type('application/json').send(answer(service, vectors))
    },
  )
  app.get('/healthz', { schema: { summary: 'Alive' } }, () => ({ status: 'ok' }))
  app.get('/readyz', { schema: { summary: 'Ready, with reasons if not' } }, async (_request, reply) => {
    const reasons = await options.unready()
    return reply.code(reasons.length === 0 ? 200 : 503).send({ ready: reasons.length === 0, reasons })
  })
  app.get('/metrics', { schema: { hide: true } }, async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.metrics()),
  )
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
  return app
}

/** Service names resolved to versions, looked up again after a short while. */
class ServiceNames {
  readonly #options: AppOptions
  readonly #known = new Map<string, { service: CompiledService; until: number }>()

  constructor(options: AppOptions) {
    this.#options = options
  }

  async find(name: string, anew: boolean = false): Promise<CompiledService> {
    const now = performance.now()
    const known = this.#known.get(name)
    if (!anew && known !== undefined && now < known.until) return known.service
    const service = await this.#options.registry.service(name)
    this.#known.set(name, { service, until: now + (this.#options.aliasMs ?? 1000) })
    return service
  }
}

function servedRow(
  service: CompiledService,
  vector: ServedVector,
  entity: Record<string, unknown>,
  request: Record<string, unknown>,
): ServedRow {
  const { values, statuses, evaluatedAt, stamps } = vector
  return {
    requestId: randomUUID(),
    serviceVersion: service.version,
    entity,
    request,
    evaluatedAt,
    stamps,
    cells: values.map((value, i) => encodeCell(value, statuses[i])),
  }
}

/** The documented body, with exact numbers. */
export function answer(service: CompiledService, vectors: readonly ServedVector[]): string {
  const rows = vectors.map(
    ({ values, statuses, evaluatedAt, stamps }) =>
      `{"values":[${values.map(valueToJson).join(',')}],"statuses":${JSON.stringify(statuses)},"evaluatedAt":${evaluatedAt},"stamps":${JSON.stringify(stamps)}}`,
  )
  const { name } = service.plan
  return `{"service":${JSON.stringify(name)},"version":"${service.version}","features":${JSON.stringify(FeatureReader.names(service))},"rows":[${rows.join(',')}]}`
}

function setErrors(app: FastifyInstance): void {
  app.setNotFoundHandler((request, reply) => {
    const error = failServing('TM_ROUTE_UNKNOWN', `no route ${request.method} ${request.url}: see /openapi.json`)
    void reply.code(404).send({ error: error.message, code: error.code, details: {} })
  })
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    if (isTidemarkError(error) && error.status === 503) void reply.header('retry-after', '1')
    if (isTidemarkError(error))
      return reply.code(error.status).send({ error: error.message, code: error.code, details: error.details })
    const status = error.statusCode ?? 500
    if (status === 413)
      return reply
        .code(413)
        .send({ error: 'the body is too large: send fewer rows', code: 'TM_REQUEST_TOO_LARGE', details: {} })
    if (status < 500)
      return reply
        .code(400)
        .send({ error: `${error.message}: see /openapi.json for the shape`, code: 'TM_REQUEST_MALFORMED', details: {} })
    return reply
      .code(500)
      .send({ error: 'an unexpected failure; try again, and see the server log', code: 'TM_INTERNAL', details: {} })
  })
}
