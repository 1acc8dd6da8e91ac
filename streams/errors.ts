import { errorFactory } from '../features/errors/tidemark-error.ts'
import type { ErrorTable } from '../features/errors/tidemark-error.ts'

export const STREAM_ERRORS = {
  TM_EVENT_NOT_JSON: { disposition: 'dead-letter', status: 422, meaning: 'An event is not a JSON object.' },
  TM_EVENT_MALFORMED: {
    disposition: 'dead-letter',
    status: 422,
    meaning:
      "The bytes of an event are not what its source's format and its schema say: cut short, too long, or without the frame of a schema registry.",
  },
  TM_EVENT_MESSAGE: {
    disposition: 'dead-letter',
    status: 422,
    meaning: "An event is another Protobuf message than its source's format names.",
  },
  TM_EVENT_TYPE: {
    disposition: 'dead-letter',
    status: 422,
    meaning: 'A field of an event has another type than its schema says.',
  },
  TM_EVENT_NULL: {
    disposition: 'dead-letter',
    status: 422,
    meaning: 'A required field of an event is null or absent.',
  },
  TM_EVENT_TIME: {
    disposition: 'dead-letter',
    status: 422,
    meaning: 'A time of an event is neither ISO-8601 with a time zone nor epoch milliseconds.',
  },
  TM_EVENT_NON_FINITE: {
    disposition: 'dead-letter',
    status: 422,
    meaning: "A number of an event is NaN or infinite and its field does not say nonFinite('null').",
  },
  TM_EVENT_KEY_NULL: {
    disposition: 'dead-letter',
    status: 422,
    meaning: 'The event has no key without null for any entity that reads its source.',
  },
  TM_EVENT_TOO_LARGE: {
    disposition: 'dead-letter',
    status: 422,
    meaning: 'An event alone is larger than a message of a log may be (`maxMessageBytes`).',
  },
  TM_ARRIVAL_FUTURE: {
    disposition: 'dead-letter',
    status: 422,
    meaning: 'An imported row says it could be known later than it was appended.',
  },
  TM_SOURCE_UNUSED: {
    disposition: 'reject',
    status: 409,
    meaning:
      'No feature view reads the source, so imported history or a replayed event would go nowhere. Define a view first.',
  },
  TM_FILE_CHANGED: {
    disposition: 'reject',
    status: 409,
    meaning: 'A file that a schedule imported has changed since. Restore it, and write new rows into a new file.',
  },
  TM_SOURCE_FILLING: {
    disposition: 'retry',
    status: 503,
    meaning:
      'Views read the source by other entities than before, and no keyed log of theirs has all history yet. Wait until they are filled.',
  },
  TM_SOURCE_TRUNCATED: {
    disposition: 'halt',
    status: 500,
    meaning:
      'A source begins beyond where ingest has read it: records that were never read are gone. Its ingest stops, other sources go on. Restore the records, or go on without them: `tidemark resume`.',
  },
  TM_SOURCE_RECREATED: {
    disposition: 'halt',
    status: 500,
    meaning:
      "A source's topic was deleted and made anew, or another topic was named: what was not read of the old one is gone. Its ingest stops, other sources go on. `tidemark resume` reads the new one from its beginning.",
  },
  TM_STREAM_GAP: {
    disposition: 'halt',
    status: 500,
    meaning:
      'Blocks of a producer are missing from a keyed log. The partition stops rather than compute from an incomplete history. `tidemark repair` says what to do.',
  },
  TM_STREAM_BUCKETS: {
    disposition: 'halt',
    status: 500,
    meaning:
      'A keyed partition holds events of a bucket that is not its own: the deployment has another number of buckets or partitions than the log was written with.',
  },
  TM_BLOCK_UNREADABLE: {
    disposition: 'halt',
    status: 500,
    meaning:
      'A block of a keyed log cannot be decoded: it is damaged, or a newer version of Tidemark wrote it. Its partition stops, others go on. `tidemark repair` says what to do.',
  },
  TM_STATE_UNREADABLE: {
    disposition: 'halt',
    status: 500,
    meaning: 'A stored entity state cannot be decoded: the online store is damaged. Its partition stops, others go on.',
  },
  TM_STREAM_FENCED: {
    disposition: 'halt',
    status: 409,
    meaning: 'Another worker has taken over this partition. This one lets go.',
  },
  TM_WAIT_TIMEOUT: {
    disposition: 'retry',
    status: 503,
    meaning: 'The streams did not catch up in time. See `tidemark status`.',
  },
} as const satisfies ErrorTable

export const failStream = errorFactory(STREAM_ERRORS)
