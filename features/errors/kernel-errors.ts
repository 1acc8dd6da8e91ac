import { errorFactory } from './tidemark-error.ts'
import type { ErrorTable } from './tidemark-error.ts'

export const KERNEL_ERRORS = {
  TM_AGGREGATION_UNSUPPORTED: {
    disposition: 'reject',
    status: 422,
    meaning:
      'The kernel of this version cannot compute this aggregation. Use one of those that the message lists, or upgrade.',
  },
  TM_FUNCTION_THROW: {
    disposition: 'degrade',
    status: 422,
    meaning:
      'A function of a definition threw. Its result is null (false in `where`, INVALID in `derive`); `tidemark status` and /metrics count it.',
  },
  TM_FUNCTION_STEPS: {
    disposition: 'degrade',
    status: 422,
    meaning:
      'A call of a function of a definition took more than 10,000,000 steps (loop rounds and calls), or more than 500 calls within each other. Its result is null, as if it had thrown.',
  },
  TM_FUNCTION_TYPE: {
    disposition: 'degrade',
    status: 422,
    meaning: 'A function of a definition returned another type than declared. Its result is null, as if it had thrown.',
  },
  TM_FUNCTION_NON_FINITE: {
    disposition: 'degrade',
    status: 422,
    meaning: 'A function of a definition returned NaN or an infinity. Its result is null, as if it had thrown.',
  },
} as const satisfies ErrorTable

export const failKernel = errorFactory(KERNEL_ERRORS)
