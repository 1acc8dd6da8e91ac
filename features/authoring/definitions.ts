import type { Format } from './formats.ts'
import type { Schema } from './types.ts'

/** Marks definitions, so that a loader finds them among a module's exports. */
export const DEFINITION = Symbol.for('tidemark.definition')

export interface EntityDefinition<C extends Schema = Schema> {
  readonly [DEFINITION]: 'entity'
  readonly name: string
  readonly columns: C
}

export interface SourceDefinition<S extends Schema = Schema> {
  readonly [DEFINITION]: 'source'
  readonly kind: 'stream' | 'table'
  readonly name: string
  readonly topic: string
  /** null: JSON. */
  readonly format: Format | null
  readonly schema: S
  readonly eventTime: string
  readonly arrival: string | null
  readonly schedule: string | ScheduleOptions | null
  readonly files: string | readonly string[] | null
  /** Names of the options as given, so that a misspelt one is told. */
  readonly given: readonly string[]
}

/**
 * A named key: one or more columns of scalar types, which every source that feeds it must have under the same names. Like all definitions it is
 * checked by `plan` and `apply`, which name file, line and reason.
 */
export function entity<const C extends Schema>(name: string, columns: C): EntityDefinition<C> {
  return Object.freeze({ [DEFINITION]: 'entity' as const, name, columns })
}

export interface StreamOptions<S extends Schema> {
  /** Default: the stream's name. */
  readonly topic?: string
  /** Default: `json()`. */
  readonly format?: Format
  readonly schema: S
  /** A timestamp column, not nullable: when the fact happened. */
  readonly eventTime: Extract<keyof S, string>
}

/** A source of live events (a topic of JSON objects, unless `format` says otherwise). History can be imported into it too. */
export function stream<const S extends Schema>(name: string, options: StreamOptions<S>): SourceDefinition<S> {
  // Definitions may come from plain JavaScript: what is missing here is reported by `plan`, with its line.
  const { topic = name, format = null, schema, eventTime } = options ?? {}
  return Object.freeze({
    [DEFINITION]: 'source' as const,
    kind: 'stream' as const,
    name,
    topic,
    format,
    schema,
    eventTime,
    arrival: null,
    schedule: null,
    files: null,
    given: Object.keys(options ?? {}),
  })
}

/** When a table is imported, and what its files are. */
export interface ScheduleOptions {
  /** Cron expression of five fields (minute hour day month weekday). */
  readonly cron: string
  /** Name of a time zone (IANA), as in 'Europe/Berlin'. Default: 'UTC'. */
  readonly timeZone?: string
  /** How long after its time an import is late, as in '30min'. Default: never. */
  readonly deadline?: string
  /**
   * 'new-files' (default): each file once, every row of it. 'snapshot': each file is the whole table as it was then; rows that the snapshot before did not have are taken in. A file may be
   * overwritten by the next snapshot.
   */
  readonly contents?: 'new-files' | 'snapshot'
}

export interface TableOptions<S extends Schema> {
  readonly schema: S
  /** A timestamp column, not nullable: when the fact happened. */
  readonly eventTime: Extract<keyof S, string>
  /** A timestamp column, not nullable: when the fact could be known. Default: the event time. */
  readonly arrival?: Extract<keyof S, string>
  /** When files are imported; a text is a cron expression of five fields (minute hour day month weekday), in UTC. */
  readonly schedule?: string | ScheduleOptions
  /** Where the schedule finds them: globs from the project's folder, or `s3://bucket/prefix/*.parquet`. Default: `data/<name>/*`. */
  readonly files?: string | readonly string[]
}

/** A source fed by import (Parquet, CSV, JSONL), on a schedule if given. */
export function table<const S extends Schema>(name: string, options: TableOptions<S>): SourceDefinition<S> {
  const { schema, eventTime, arrival = null, schedule = null, files = null } = options ?? {}
  return Object.freeze({
    [DEFINITION]: 'source' as const,
    kind: 'table' as const,
    name,
    topic: name,
    format: null,
    schema,
    eventTime,
    arrival,
    schedule,
    files,
    given: Object.keys(options ?? {}),
  })
}
