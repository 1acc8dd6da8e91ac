import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import type { TidemarkError } from '../features/errors/tidemark-error.ts'
import { failServing } from './errors.ts'

const RETRY_AFTER_SECONDS = 1

/** Every error leaves as `{ error, code, details }` with the status of its code. */
export function setErrorReplies(app: FastifyInstance, onFailure: (error: unknown, requestId: string) => void): void {
  app.setNotFoundHandler((request, reply) => send(reply, unknownRoute(request)))
  app.setErrorHandler((error: Error & { statusCode?: number; code?: string }, request, reply) => {
    const known = knownError(error)
    if (known.status >= 500 && known.status !== 503) onFailure(error, request.id)
    return send(reply, known)
  })
}

/** An error as the caller is told of it. */
export function knownError(error: Error & { statusCode?: number; code?: string }): TidemarkError {
  return isTidemarkError(error) ? error : translate(error)
}

function unknownRoute({ method, url }: FastifyRequest): TidemarkError {
  const hint = method !== 'POST' && url.startsWith('/v1/features/') ? 'features are read with POST, ' : ''
  return failServing('TM_ROUTE_UNKNOWN', `no route ${method} ${url.slice(0, 200)}: ${hint}see /openapi.json`)
}

/** What the framework refuses before any route is found. */
export function replyToFrameworkError(_error: Error, request: FastifyRequest, reply: FastifyReply): void {
  void send(reply, unknownRoute(request))
}

/** What is no HTTP, or too slow, or has huge headers: there is no request yet that a reply could belong to. */
export function replyToClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const status = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400
  const message = {
    408: 'the request did not arrive in time: send it whole',
    431: 'the headers are too large: send fewer',
    400: 'this is no HTTP request: send one, as /openapi.json shows',
  }[status]
  if (socket.writable) {
    const { code, details } = failServing('TM_REQUEST_MALFORMED', message)
    const body = JSON.stringify({ error: message, code, details })
    socket.write(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    )
  }
  socket.destroySoon()
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
