import type { OutgoingHttpHeaders } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { FeatureReader } from '../inference/assemble.ts'
import type { ServedVector } from '../inference/served-vector.ts'
import { answer, isAsciiAnswer } from './answer.ts'
import type { Clock } from './answer.ts'
import { knownError } from './error-replies.ts'
import { parseFeaturesBody } from './parse-features-body.ts'
import { FEATURES_ROUTE } from './schemas.ts'
import type { NamedVectors, ServiceNames } from './service-names.ts'
import type { ServingMetrics } from './serving-metrics.ts'

export interface FeatureRouteOptions {
  readonly reader: FeatureReader
  readonly services: ServiceNames
  readonly metrics: ServingMetrics
  /** Takes the rows of every answer; neither waits nor throws. */
  readonly served: { offer(requestId: string, vectors: readonly ServedVector[]): void }
  readonly clock: Clock
}

type FeatureRequest = FastifyRequest<{ Params: { service: string }; Body: unknown }>

export function registerFeatureRoute(app: FastifyInstance, options: FeatureRouteOptions): void {
  const { reader, services, metrics, served, clock } = options
  const respond = (
    request: FeatureRequest,
    reply: FastifyReply,
    { service, vectors }: NamedVectors,
    { intervals, start }: { intervals: boolean; start: number },
  ): void => {
    served.offer(request.id, vectors)
    sendJson(reply, answer(service, vectors, { clock, intervals }), isAsciiAnswer(vectors))
    metrics.answered(service.plan.name, vectors.length, (performance.now() - start) / 1000)
  }
  app.post<{ Params: { service: string }; Body: unknown }>(
    '/v1/features/:service',
    {
      schema: FEATURES_ROUTE,
      // Parsed and written by hand: the schema is for the OpenAPI document.
      validatorCompiler: () => () => true,
      serializerCompiler: () => JSON.stringify,
      onError: (request, _reply, error, done) => {
        const { service } = request.params
        metrics.refused(services.knows(service) ? service : 'unknown', knownError(error).status)
        done()
      },
    },
    (request, reply) => {
      const start = performance.now()
      const { entities, request: fields, intervals } = parseFeaturesBody(request.body)
      const name = request.params.service
      const found = services.readNow(reader, name, entities, fields)
      const how = { intervals, start }
      if (found !== null) return respond(request, reply, found, how)
      return services.read(reader, name, entities, fields).then((later) => respond(request, reply, later, how))
    },
  )
}

/**
 * Past the framework's own sending: most answers are ASCII, which the socket takes as Latin-1 without looking at each character. Headers that hooks set
 * are sent; hooks on sending are not called.
 */
function sendJson(reply: FastifyReply, text: string, isAscii: boolean): void {
  const headers = reply.getHeaders() as OutgoingHttpHeaders
  headers['content-type'] = 'application/json; charset=utf-8'
  headers['content-length'] = isAscii ? text.length : Buffer.byteLength(text)
  reply.hijack()
  reply.raw.writeHead(200, headers)
  reply.raw.end(text, isAscii ? 'latin1' : 'utf8')
}
