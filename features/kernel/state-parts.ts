/**
 * An entity's state in two parts, so that a dense entity is not rewritten whole at every flush: what an event at the newest τ changes is in `open`, older
 * tiles are in `sealed` (null: none, or so few bytes that `open` holds them). Each part's bytes are a function of the set of events applied.
 */
export interface StateParts {
  readonly open: Uint8Array
  readonly sealed: Uint8Array | null
}

/** What to write over the parts that a store holds. */
export interface StateChange {
  readonly open: Uint8Array
  /** Absent: as it is in the store. null: none. */
  readonly sealed?: Uint8Array | null
}
