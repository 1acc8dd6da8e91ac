import { errorFactory } from '../features/errors/tidemark-error.ts'
import type { ErrorTable } from '../features/errors/tidemark-error.ts'

export const STORE_ERRORS = {
  TM_LOG_TOPIC_UNKNOWN: {
    disposition: 'reject',
    status: 404,
    meaning: 'The topic does not exist. Create it, or run `tidemark apply` first.',
  },
  TM_LOG_TOPIC_MISMATCH: {
    disposition: 'halt',
    status: 409,
    meaning:
      'A topic exists with another number of partitions than the deployment asks for. Set it back, or use another data folder.',
  },
  TM_LOG_OFFSET_GONE: {
    disposition: 'halt',
    status: 500,
    meaning: 'A read asked for an offset that the log no longer holds or never held.',
  },
  TM_LOG_CONFLICT: {
    disposition: 'retry',
    status: 409,
    meaning:
      'Another process appended to a log meanwhile, so that a conditional append did nothing. Read on and try again.',
  },
  TM_LOG_UNAVAILABLE: {
    disposition: 'retry',
    status: 503,
    meaning: 'The log (Kafka) does not answer. Start it, or correct `TIDEMARK_LOG`; it is tried again.',
  },
  TM_LOG_SETTING: {
    disposition: 'halt',
    status: 409,
    meaning:
      'A topic of the log (Kafka) has a setting with which events could be lost or dated wrongly. Set it as the message says.',
  },
  TM_LOG_REFUSED: {
    disposition: 'reject',
    status: 409,
    meaning: 'The log (Kafka) refused records for what its topic is set to. The message says why.',
  },
  TM_LOG_RECORD_TOO_LARGE: {
    disposition: 'halt',
    status: 413,
    meaning:
      'The log (Kafka) takes no records of this size. Raise its `max.message.bytes`, or lower `maxMessageBytes`.',
  },
  TM_LOG_REWRITE: {
    disposition: 'reject',
    status: 409,
    meaning: 'Records of this log (Kafka) cannot be changed where they stand.',
  },
  TM_CONFIG_LOG: {
    disposition: 'reject',
    status: 422,
    meaning: '`TIDEMARK_LOG` is no address of a log. The message says what is expected.',
  },
  TM_ONLINE_INCARNATION: {
    disposition: 'halt',
    status: 500,
    meaning:
      'The online store was filled from another incarnation of the keyed log. Its states do not belong to this log; rebuild them.',
  },
  TM_ONLINE_UNAVAILABLE: {
    disposition: 'retry',
    status: 503,
    meaning: 'The online store (Redis) does not answer. Start it, or correct `TIDEMARK_ONLINE`; it is tried again.',
  },
  TM_ONLINE_FULL: {
    disposition: 'retry',
    status: 503,
    meaning: 'The online store (Redis) is at its `maxmemory`. Raise it: nothing stored is lost.',
  },
  TM_ONLINE_REFUSED: {
    disposition: 'halt',
    status: 500,
    meaning: 'The online store (Redis) refused a command, for example for lack of rights. The message has its words.',
  },
  TM_ONLINE_EVICTION: {
    disposition: 'halt',
    status: 500,
    meaning:
      'The eviction policy of the online store (Redis) could drop states without a word. Set `maxmemory-policy noeviction`.',
  },
  TM_CONFIG_ONLINE: {
    disposition: 'reject',
    status: 422,
    meaning: '`TIDEMARK_ONLINE` is no address of an online store. The message says what is expected.',
  },
  TM_METADATA_UNAVAILABLE: {
    disposition: 'retry',
    status: 503,
    meaning:
      'The metadata store (PostgreSQL) does not answer. Start it, or correct `TIDEMARK_METADATA`; it is tried again.',
  },
  TM_CONFIG_METADATA: {
    disposition: 'reject',
    status: 422,
    meaning: '`TIDEMARK_METADATA` is no address of a metadata store. The message says what is expected.',
  },
  TM_OBJECTS_UNAVAILABLE: {
    disposition: 'retry',
    status: 503,
    meaning: 'The object store (S3) does not answer. Start it, or correct `TIDEMARK_OBJECTS`; it is tried again.',
  },
  TM_OBJECTS_REFUSED: {
    disposition: 'halt',
    status: 500,
    meaning: 'The object store (S3) refused a request, for example for lack of rights. The message has its words.',
  },
  TM_CONFIG_OBJECTS: {
    disposition: 'reject',
    status: 422,
    meaning: '`TIDEMARK_OBJECTS` is no address of an object store. The message says what is expected.',
  },
  TM_SCHEMA_REGISTRY_UNAVAILABLE: {
    disposition: 'retry',
    status: 503,
    meaning:
      'The schema registry does not answer, or not as one, or `TIDEMARK_SCHEMA_REGISTRY` is not set. Ingest of the sources that need it waits, nothing is lost; it is tried again.',
  },
  TM_SCHEMA_UNKNOWN: {
    disposition: 'dead-letter',
    status: 422,
    meaning:
      'An event names a schema that the schema registry does not have. Register it, or correct `TIDEMARK_SCHEMA_REGISTRY`, and replay the letter.',
  },
  TM_SCHEMA_INVALID: {
    disposition: 'dead-letter',
    status: 422,
    meaning:
      "A schema of an event's format cannot be used: it is none of that format, or not of a record. The message says why.",
  },
  TM_CONFIG_SCHEMA_REGISTRY: {
    disposition: 'reject',
    status: 422,
    meaning: '`TIDEMARK_SCHEMA_REGISTRY` is no address of a schema registry. The message says what is expected.',
  },
  TM_KEY_TOO_LONG: {
    disposition: 'dead-letter',
    status: 422,
    meaning:
      'An entity key is longer than the online store can hold; of an event: it has no key that is not, for any entity that reads its source. Shorten it, or key by a hash.',
  },
  TM_OBJECT_MISSING: {
    disposition: 'reject',
    status: 404,
    meaning: 'An object that the metadata names is not in the object store.',
  },
  TM_OBJECT_NAME: {
    disposition: 'reject',
    status: 422,
    meaning: 'An object name has characters other than letters, digits and . _ = - / between segments.',
  },
  TM_ARCHIVE_DAMAGED: {
    disposition: 'halt',
    status: 500,
    meaning: 'An archive file cannot be read as one. Restore it from a backup.',
  },
  TM_DISK_FULL: {
    disposition: 'retry',
    status: 503,
    meaning: 'The disk of the data folder is full. Free space: nothing stored is lost, and work goes on from there.',
  },
  TM_DATA_IO: {
    disposition: 'retry',
    status: 503,
    meaning:
      'The disk of the data folder failed a read or a write: it is full, or failing. Free space, or see the system log: nothing stored is lost, and work goes on from there.',
  },
  TM_DATA_READ_ONLY: {
    disposition: 'halt',
    status: 500,
    meaning: 'The data folder cannot be written. Give the user the right to write it, or use another folder.',
  },
  TM_DATA_DAMAGED: {
    disposition: 'halt',
    status: 500,
    meaning: 'A file of the data folder is damaged; the message says what found it. Restore the folder from a backup.',
  },
  TM_DATA_NEWER: {
    disposition: 'halt',
    status: 500,
    meaning: 'The data folder was written by a newer version of Tidemark. Upgrade, or use another folder.',
  },
  TM_FILE_MISSING: { disposition: 'reject', status: 422, meaning: 'A file that the command names does not exist.' },
  TM_FILE_UNREADABLE: {
    disposition: 'reject',
    status: 422,
    meaning: 'A file cannot be read as what its extension says (Parquet, CSV, JSONL, Arrow).',
  },
  TM_COLUMN_MISSING: { disposition: 'reject', status: 422, meaning: 'A file lacks a column that is needed.' },
  TM_COLUMN_TYPE: {
    disposition: 'reject',
    status: 422,
    meaning: 'A column of a file has another type than is needed; the message names the column and the first row.',
  },
} as const satisfies ErrorTable

export const failStore = errorFactory(STORE_ERRORS)
