import { errorFactory } from '../features/errors/tidemark-error.ts'
import type { ErrorTable } from '../features/errors/tidemark-error.ts'

export const OFFLINE_ERRORS = {
  TM_SPINE_COLUMN: {
    disposition: 'reject',
    status: 422,
    meaning: 'The spine lacks an entity key, the timestamp or a request field, or one has a wrong type.',
  },
  TM_SPINE_TOO_LATE: {
    disposition: 'reject',
    status: 422,
    meaning:
      'A spine row is later than the time up to which the archive is known to be complete. Wait, or leave such rows out.',
  },
  TM_SPINE_TOO_EARLY: {
    disposition: 'reject',
    status: 422,
    meaning:
      'By the served clock: at the time of a spine row a view was not live, so that a request got no vector. Leave such rows out, or export by arrival.',
  },
  TM_SPINE_BEFORE_JOURNAL: {
    disposition: 'reject',
    status: 422,
    meaning:
      'By the served clock: a spine row is earlier than what the flush journal still knows. Leave such rows out, or export by arrival; `flushJournal.keep` says how long it is kept.',
  },
  TM_SPINE_TOO_LARGE: {
    disposition: 'reject',
    status: 422,
    meaning:
      'Times, keys and request fields of all spine rows do not fit in the memory that the export may use. Raise --memory to what the message says, or split the spine by rows: the parts give the same rows.',
  },
  TM_EXPORT_FORMAT: {
    disposition: 'reject',
    status: 422,
    meaning: 'The output file has an extension that cannot be written.',
  },
  TM_EXPORT_OUTPUT: {
    disposition: 'reject',
    status: 422,
    meaning:
      'The output cannot be put where it should be: its folder is missing or closed to this user, a folder has its name, or it is the spine itself.',
  },
  TM_POSITIONS_UNKNOWN: {
    disposition: 'reject',
    status: 422,
    meaning:
      'The positions of a manifest lie beyond the archive, or belong to another log. Export without them, or restore the archive.',
  },
  TM_AS_OF_UNSUPPORTED: {
    disposition: 'reject',
    status: 422,
    meaning: 'This clock is not available here: the served clock needs the online store.',
  },
} as const satisfies ErrorTable

export const failOffline = errorFactory(OFFLINE_ERRORS)
