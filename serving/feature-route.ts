import type { FastifyInstance } from 'fastify'
import type { CompiledService } from '../features/kernel/compiled-view.ts'
import type { FeatureReader } from '../inference/assemble.ts'
import { vectorNames } from '../inference/service-layout.ts'
import type { ServedVector } from '../inference/served-vector.ts'
import { parseFeaturesBody } from './parse-features-body.ts'
import { FEATURES_ROUTE } from './schemas.ts'
import type { ServiceNames } from './service-names.ts'
import type { ServingMetrics } from './serving-metrics.ts'

export interface FeatureRouteOptions {
  readonly reader: FeatureReader
  readonly services: ServiceNames
  readonly metrics: ServingMetrics
  /** Takes the rows of every answer; neither waits nor throws. */
  readonly served: { offer(requestId: string, vectors: readonly ServedVector[]): void }
  readonly clock: Clock
}

/** 'simulated' is marked in every answer. */
export type Clock = 'real' | 'simulated'

export function registerFeatureRoute(app: FastifyInstance, options: FeatureRouteOptions): void {
  const { reader, services, metrics, served, clock } = options
  app.post<{ Params: { service: string }; Body: unknown }>(
    '/v1/features/:service',
    {
      schema: FEATURES_ROUTE,
      // Parsed and written by hand: the schema is for the OpenAPI document.
      validatorCompiler: () => () => true,
      serializerCompiler: () => JSON.stringify,
      onError: (request, _reply, error, done) => {
        const status = (error as { status?: number }).status ?? error.statusCode ?? 500
        metrics.request(services.knows(request.params.service) ? request.params.service : 'unknown', status, 0, 0)
        done()
      },
    },
    async (request, reply) => {
      const start = performance.now()
      const body = parseFeaturesBody(request.body)
      const name = request.params.service
      const { service, vectors } = await services.read(reader, name, body.entities, body.request)
      served.offer(request.id, vectors)
      const text = answer(service, vectors, clock)
      metrics.request(service.plan.name, 200, vectors.length, (performance.now() - start) / 1000)
      return reply.header('content-type', 'application/json; charset=utf-8').send(text)
    },
  )
}

const heads = new WeakMap<CompiledService, Map<Clock, string>>()

/** The documented body, with exact numbers. */
export function answer(service: CompiledService, vectors: readonly ServedVector[], clock: Clock): string {
  let rows = ''
  for (const vector of vectors) rows += rows === '' ? vector.toJson() : `,${vector.toJson()}`
  return `${head(service, clock)}${rows}]}`
}

function head(service: CompiledService, clock: Clock): string {
  const made = heads.get(service) ?? new Map<Clock, string>()
  heads.set(service, made)
  const known = made.get(clock)
  if (known !== undefined) return known
  const mark = clock === 'simulated' ? '"clock":"simulated",' : ''
  const text = `{"service":${JSON.stringify(service.plan.name)},"version":"${service.version}",${mark}"features":${JSON.stringify(vectorNames(service))},"rows":[`
  made.set(clock, text)
  return text
}
