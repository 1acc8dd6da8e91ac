/** One value that the archive does not give. `served` and `recomputed` are for people: the value as JSON and its status. */
export interface Mismatch {
  readonly requestId: string
  /** The row's place in its request. */
  readonly row: number
  /** Full name; `*`: the whole vector could not be compared. */
  readonly feature: string
  readonly served: string
  readonly recomputed: string
  /** Canonical bytes of status and value, hex. */
  readonly servedBytes: string
  readonly recomputedBytes: string
  readonly cause: string
}

export interface FeatureCount {
  matches: number
  mismatches: number
}

export interface VerifyReport {
  /** Vectors compared, and their values. */
  readonly rows: number
  readonly values: number
  /** Vectors whose events are not archived yet: verify again later. */
  readonly pending: number
  /** Vectors that differ because events of a forgotten key were removed from under them: neither matches nor mismatches. */
  readonly forgotten: number
  /** Append time of the oldest vector that is kept, epoch ms; null: none is. */
  readonly since: number | null
  readonly features: Readonly<Record<string, FeatureCount>>
  /** What was found damaged: archive files, and records of the served log. */
  readonly damaged: readonly string[]
  /** The first thousand. */
  readonly mismatches: readonly Mismatch[]
  readonly mismatchCount: number
}

export const MISMATCHES_MAX = 1000

/** A report in the making. */
export class VerifyTally {
  rows = 0
  values = 0
  pending = 0
  forgotten = 0
  since: number | null = null
  readonly #features = new Map<string, FeatureCount>()
  readonly #damaged = new Set<string>()
  readonly #mismatches: Mismatch[] = []
  #mismatchCount = 0

  count(feature: string, isMatch: boolean): void {
    const counts = this.#features.get(feature) ?? { matches: 0, mismatches: 0 }
    this.#features.set(feature, counts)
    if (isMatch) counts.matches++
    else counts.mismatches++
  }

  damage(what: string): void {
    this.#damaged.add(what)
  }

  mismatch(mismatch: Mismatch): void {
    this.#mismatchCount++
    if (this.#mismatches.length < MISMATCHES_MAX) this.#mismatches.push(mismatch)
  }

  finish(): VerifyReport {
    return {
      rows: this.rows,
      values: this.values,
      pending: this.pending,
      forgotten: this.forgotten,
      since: this.since,
      features: Object.fromEntries(this.#features),
      damaged: [...this.#damaged],
      mismatches: this.#mismatches,
      mismatchCount: this.#mismatchCount,
    }
  }
}
