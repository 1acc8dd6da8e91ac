import type { FastifyInstance, FastifyReply } from 'fastify'
import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import type { TidemarkError } from '../features/errors/tidemark-error.ts'
import { failServing } from './errors.ts'

const RETRY_AFTER_SECONDS = 1

/** Every error leaves as `{ error, code, details }` with the status of its code. */
export function setErrorReplies(app: FastifyInstance, onFailure: (error: unknown, requestId: string) => void): void {
  app.setNotFoundHandler((request, reply) =>
    send(
      reply,
      failServing('TM_ROUTE_UNKNOWN', `no route ${request.method} ${request.url.slice(0, 200)}: see /openapi.json`),
    ),
  )
  app.setErrorHandler((error: Error & { statusCode?: number; code?: string }, request, reply) => {
    const known = isTidemarkError(error) ? error : translate(error)
    if (known.status >= 500 && known.status !== 503) onFailure(error, request.id)
    return send(reply, known)
  })
}

function send(reply: FastifyReply, { status, message, code, details }: TidemarkError): FastifyReply {
  if (status === 503) void reply.header('retry-after', RETRY_AFTER_SECONDS)
  return reply
    .code(status)
    .header('content-type', 'application/json; charset=utf-8')
    .send(JSON.stringify({ error: message, code, details }))
}

/** The framework's own refusals. */
function translate(error: Error & { statusCode?: number; code?: string }): TidemarkError {
  const status = error.statusCode ?? 500
  if (status === 413)
    return failServing('TM_REQUEST_TOO_LARGE', 'the body is too large: send fewer rows, in several requests')
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return failServing(
      'TM_REQUEST_MALFORMED',
      'the content type is not application/json: send that header with a JSON body',
    )
  if (status < 500) return failServing('TM_REQUEST_MALFORMED', `${error.message}: see /openapi.json for the shape`)
  return failServing(
    'TM_INTERNAL',
    'an unexpected failure: try again; the server log has the cause under the request id',
  )
}
