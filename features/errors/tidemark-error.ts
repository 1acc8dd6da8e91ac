/**
 * What a caller should do with an error:
 *  - `retry`: the same call may succeed later (a store was busy or away)
 *  - `dead-letter`: this event is bad; keep it aside and go on
 *  - `reject`: the caller's request or file is wrong; nothing was changed
 *  - `degrade`: a value is null and marked as such; all else goes on
 *  - `halt`: going on could damage data; stop this partition or process
 */
export type Disposition = 'retry' | 'dead-letter' | 'reject' | 'degrade' | 'halt'

/** One entry of an error-code table (one table per layer, see `docs/errors.md`). */
export interface ErrorCode {
  readonly disposition: Disposition
  /** HTTP status when the error reaches a client. */
  readonly status: number
  /** One sentence for the documentation: when it happens and what to do. */
  readonly meaning: string
}

export type ErrorTable = Readonly<Record<string, ErrorCode>>

export interface ErrorOptions {
  /** Facts for programs. No secrets, no payloads. */
  readonly details?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

/** The only error Tidemark throws on purpose. `message` says what was expected, what was found and what to do next. */
export class TidemarkError extends Error {
  readonly code: string
  readonly disposition: Disposition
  readonly status: number
  readonly details: Readonly<Record<string, unknown>>

  constructor(table: ErrorTable, code: string, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    const entry = table[code]
    if (entry === undefined) throw new Error(`error code ${code} is in no table; add it to the table of its layer`)
    this.name = 'TidemarkError'
    this.code = code
    this.disposition = entry.disposition
    this.status = entry.status
    this.details = options.details ?? {}
  }
}

/** Binds a table: `throw fail('TM_KEY_TOO_LONG', '…', { details })` with only that table's codes allowed. */
export function errorFactory<const T extends ErrorTable>(table: T) {
  return (code: keyof T & string, message: string, options: ErrorOptions = {}): TidemarkError =>
    new TidemarkError(table, code, message, options)
}

export function isTidemarkError(error: unknown): error is TidemarkError {
  return error instanceof TidemarkError
}

/** A programmer's error: the condition can only be false through a defect in Tidemark itself. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`invariant violated: ${message} (a defect in Tidemark; please report it)`)
}
