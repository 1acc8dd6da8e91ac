import { errorFactory } from '../features/errors/tidemark-error.ts'
import type { ErrorTable } from '../features/errors/tidemark-error.ts'

export const REGISTRY_ERRORS = {
  TM_DEFINITION_LOAD: {
    disposition: 'reject',
    status: 422,
    meaning:
      'A definition file cannot be loaded (syntax error, failing import, or it throws). The message has the file and the reason.',
  },
  TM_UNKNOWN_ENTITY: {
    disposition: 'reject',
    status: 404,
    meaning: 'No entity of this name is registered. The message lists those that are.',
  },
  TM_DEFINITION_INVALID: {
    disposition: 'reject',
    status: 422,
    meaning: 'A definition breaks a rule; the message names the file, the definition and what was expected.',
  },
  TM_DEFINITION_DUPLICATE: {
    disposition: 'reject',
    status: 422,
    meaning: 'Two definitions of one kind have the same name. Rename one.',
  },
  TM_FUNCTION_IMPURE: {
    disposition: 'reject',
    status: 422,
    meaning:
      'A user function reaches for time, randomness, I/O, locale or another thing that would not give the same bits everywhere.',
  },
  TM_FUNCTION_BUNDLE: {
    disposition: 'reject',
    status: 422,
    meaning: 'The code of a user function cannot be bundled, for instance as it imports a Node module.',
  },
  TM_NO_DEFINITIONS: {
    disposition: 'reject',
    status: 422,
    meaning: 'The project has no definitions under features/. Run `tidemark init`, or pass --project.',
  },
  TM_UNKNOWN_SERVICE: {
    disposition: 'reject',
    status: 404,
    meaning:
      'No feature service of this name or version is registered. Run `tidemark apply`, or use a name that the message lists.',
  },
  TM_UNKNOWN_VIEW: {
    disposition: 'reject',
    status: 404,
    meaning: 'No feature view of this name or version is registered.',
  },
  TM_UNKNOWN_SOURCE: {
    disposition: 'reject',
    status: 404,
    meaning: 'No source of this name is registered. Run `tidemark apply`, or use a name that the message lists.',
  },
} as const satisfies ErrorTable

export const failRegistry = errorFactory(REGISTRY_ERRORS)
