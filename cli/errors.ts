import { errorFactory } from '../features/errors/tidemark-error.ts'
import type { ErrorTable } from '../features/errors/tidemark-error.ts'

export const CLI_ERRORS = {
  TM_USAGE: {
    disposition: 'reject',
    status: 400,
    meaning: 'The command line is wrong; the message says what was expected.',
  },
  TM_PROJECT_MISSING: {
    disposition: 'reject',
    status: 404,
    meaning:
      'The folder that --project names does not exist, or is no folder; or, where none is named, neither the working folder nor one above it is a project.',
  },
  TM_ALREADY_RUNNING: {
    disposition: 'reject',
    status: 409,
    meaning: 'Another `tidemark start` serves this data folder. Use it, stop it, or use another folder.',
  },
  TM_ROLE_DIED: {
    disposition: 'retry',
    status: 500,
    meaning: 'The process of a role ended without a word. `start` starts it anew, with growing pauses.',
  },
  TM_ROLE_STUCK: {
    disposition: 'retry',
    status: 500,
    meaning:
      'The process of a role has done nothing else for 15 s than one thing that does not return, such as a pattern that backtracks without end in a function of a definition, or it was stopped. The message names the function: apply a corrected one. `start` kills it and starts it anew, with growing pauses; another worker on the machine kills it and takes over; nothing is lost.',
  },
  TM_PORT_IN_USE: {
    disposition: 'reject',
    status: 409,
    meaning:
      'Another process listens on the port. Stop it, or choose another with --port, or `port` in tidemark.config.ts.',
  },
  TM_HOST_UNPROTECTED: {
    disposition: 'reject',
    status: 403,
    meaning:
      'The host is an address that other machines reach, and Tidemark would answer whoever asks. Leave it at 127.0.0.1 behind a proxy that authenticates, or say with --trust-network, TIDEMARK_TRUST_NETWORK=true or `trustNetwork` that everyone who reaches it may read and write everything.',
  },
  TM_RECORDS_UNREADABLE: {
    disposition: 'reject',
    status: 422,
    meaning:
      'A file of records is not what `--records` says. The message names the first that is wrong; those before it were taken.',
  },
  TM_LINE_TOO_LONG: {
    disposition: 'reject',
    status: 422,
    meaning:
      'A line of an events file is longer than 16 MB. Expected one JSON event a line; the lines before it were taken.',
  },
  TM_CONFIG: {
    disposition: 'reject',
    status: 422,
    meaning: 'A setting is wrong or names an engine that this version does not have; the message names it.',
  },
} as const satisfies ErrorTable

export const failCli = errorFactory(CLI_ERRORS)
