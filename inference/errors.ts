import { errorFactory } from '../features/errors/tidemark-error.ts'
import type { ErrorTable } from '../features/errors/tidemark-error.ts'

export const INFERENCE_ERRORS = {
  TM_ENTITY_KEY: {
    disposition: 'reject',
    status: 400,
    meaning: 'A row lacks an entity key of the service, or one has a wrong type. Values are not coerced.',
  },
  TM_REQUEST_FIELD: {
    disposition: 'reject',
    status: 400,
    meaning: 'A row lacks a request field of the service, or one has a wrong type.',
  },
  TM_UNKNOWN_FIELD: {
    disposition: 'reject',
    status: 400,
    meaning: 'A row has a field that the service does not know.',
  },
  TM_SERVICE_NOT_READY: {
    disposition: 'retry',
    status: 503,
    meaning:
      'A view version of the service is not live: its history is being replayed. `tidemark status` shows how far it is.',
  },
  TM_STATE_DAMAGED: {
    disposition: 'halt',
    status: 500,
    meaning: 'A stored state cannot be decoded: the online store is damaged. Rebuild it from the archive.',
  },
} as const satisfies ErrorTable

export const failInference = errorFactory(INFERENCE_ERRORS)
