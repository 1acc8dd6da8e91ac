import { randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import swagger from '@fastify/swagger'
import type { FeatureReader } from '../inference/assemble.ts'
import type { ServedLogger } from '../inference/served-logger.ts'
import type { Registry } from '../registry/registry.ts'
import { replyToClientError, replyToFrameworkError, setErrorReplies } from './error-replies.ts'
import { failServing } from './errors.ts'
import { registerFeatureRoute } from './feature-route.ts'
import type { Clock } from './answer.ts'
import { HEALTH_ROUTE, METRICS_ROUTE, READY_ROUTE } from './schemas.ts'
import { ServiceNames } from './service-names.ts'
import { createServingMetrics } from './serving-metrics.ts'
import type { MetricSources } from './serving-metrics.ts'

export interface AppOptions {
  readonly registry: Registry
  readonly reader: FeatureReader
  readonly served: Pick<ServedLogger, 'offer' | 'counts'>
  readonly clock: Clock
  /** Why the server is not ready (empty: it is), and what does not work although it is: told with it. */
  readonly readiness: () => Promise<{ readonly reasons: readonly string[]; readonly impaired: readonly string[] }>
  readonly lag?: MetricSources['lag']
  readonly stopped?: MetricSources['stopped']
  readonly heldBack?: MetricSources['heldBack']
  /** What the streams counted of the views' functions. */
  readonly viewFunctionFailures?: MetricSources['functionFailures']
  readonly expiredKeys?: MetricSources['expiredKeys']
  /** Told of failures that are not the caller's, with the id of the request. */
  readonly onFailure?: (error: unknown, requestId: string) => void
  /** How long a name → version lookup may be reused. */
  readonly aliasMs?: number
}

const BODY_BYTES_MAX = 8 << 20
/** Of a service, with room to be told that a longer one is none. */
const NAME_LENGTH_MAX = 1000
const REQUEST_ID = /^[\w.:+/=-]{1,128}$/

/** The HTTP surface, apart from listening. */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { registry, reader, served, clock, lag, stopped, heldBack } = options
  const app = Fastify({
    bodyLimit: BODY_BYTES_MAX,
    requestIdHeader: false,
    routerOptions: { maxParamLength: NAME_LENGTH_MAX },
    frameworkErrors: replyToFrameworkError,
    clientErrorHandler: replyToClientError,
    genReqId: ({ headers }) => {
      const given = headers['x-request-id']
      return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID()
    },
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, ({ headers }, body, done) => {
    const encoding = headers['content-encoding']
    if (encoding === undefined || encoding === 'identity') done(null, body)
    else
      done(
        failServing('TM_REQUEST_MALFORMED', `content-encoding ${encoding.slice(0, 40)} is not taken: send plain JSON`),
      )
  })
  app.addHook('onRequest', (request, reply, done) => {
    void reply.header('x-request-id', request.id)
    done()
  })
  setErrorReplies(app, options.onFailure ?? (() => {}))
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Tidemark',
        version: '1',
        description: 'Feature vectors that can prove what they were computed from.',
      },
    },
  })
  const metrics = createServingMetrics({
    reader: () => reader.counts,
    servedLog: () => served.counts,
    lag,
    expiredKeys: options.expiredKeys,
    stopped,
    heldBack,
    functionFailures: async () => [
      ...((await options.viewFunctionFailures?.()) ?? []),
      ...reader.functionFailures.map(({ service, ...failure }) => ({ name: service, ...failure })),
    ],
  })
  const services = new ServiceNames(registry, options.aliasMs)
  registerFeatureRoute(app, { reader, services, metrics, served, clock })
  app.get('/healthz', { schema: HEALTH_ROUTE }, () => ({ status: 'ok' }))
  app.get('/readyz', { schema: READY_ROUTE }, async (_request, reply) => {
    const { reasons, impaired } = await options.readiness()
    if (reasons.length > 0) void reply.code(503).header('retry-after', 1)
    return { ready: reasons.length === 0, reasons: [...reasons, ...impaired] }
  })
  app.get('/metrics', { schema: METRICS_ROUTE }, async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.text()),
  )
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
  return app
}
