import { errorFactory } from '../features/errors/tidemark-error.ts'
import type { ErrorTable } from '../features/errors/tidemark-error.ts'

export const SERVING_ERRORS = {
  TM_REQUEST_MALFORMED: {
    disposition: 'reject',
    status: 400,
    meaning: 'The body of a request has not the documented shape.',
  },
  TM_REQUEST_TOO_LARGE: {
    disposition: 'reject',
    status: 413,
    meaning: 'The body of a request is larger than the server takes. Send fewer rows.',
  },
  TM_ROUTE_UNKNOWN: { disposition: 'reject', status: 404, meaning: 'There is no such route. See /openapi.json.' },
  TM_INTERNAL: {
    disposition: 'retry',
    status: 500,
    meaning: 'An unexpected failure; the server log has the cause under the request id.',
  },
} as const satisfies ErrorTable

export const failServing = errorFactory(SERVING_ERRORS)
