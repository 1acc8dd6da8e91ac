import { errorFactory } from './tidemark-error.ts'
import type { ErrorTable } from './tidemark-error.ts'

export const KERNEL_ERRORS = {
  TM_AGGREGATION_UNSUPPORTED: {
    disposition: 'reject',
    status: 422,
    meaning:
      'The kernel of this version cannot compute this aggregation. Use one of those that the message lists, or upgrade.',
  },
} as const satisfies ErrorTable

export const failKernel = errorFactory(KERNEL_ERRORS)
