/** Exact sums of runs of doubles as differences of prefix sums, each held in two doubles; one that two doubles do not hold is refused. See `SumCells`. */
export class PrefixSums {
  #high = new Float64Array(0)
  #low = new Float64Array(0)

  /** Σ of the first k values as high[k] + low[k], high = round(Σ); false where two doubles do not hold one. */
  open(values: Float64Array, first: number, end: number): boolean {
    if (this.#high.length < end - first + 1) {
      this.#high = new Float64Array(2 * (end - first) + 64)
      this.#low = new Float64Array(this.#high.length)
    }
    const high = this.#high
    const low = this.#low
    high[0] = 0
    low[0] = 0
    let a = 0
    let c = 0
    for (let i = first; i < end; i++) {
      const b = values[i]
      const s = a + b
      const sb = s - a
      const e = a - (s - sb) + (b - sb)
      const u = c + e
      const ub = u - c
      if (c - (u - ub) + (e - ub) !== 0) return false
      a = s + u
      const hb = a - s
      c = s - (a - hb) + (u - hb)
      // Not a number where the sum overflows.
      if (c !== c) return false
      high[i - first + 1] = a
      low[i - first + 1] = c
    }
    return true
  }

  /** Per row round(Σ[first…end) − Σ[first…start)); false where two doubles do not hold a difference exactly. */
  differences(
    starts: Int32Array,
    ends: Int32Array,
    { first, rows }: { readonly first: number; readonly rows: number },
    sums: Float64Array,
  ): boolean {
    const high = this.#high
    const low = this.#low
    for (let row = 0; row < rows; row++) {
      const to = ends[row] - first
      const from = starts[row] - first
      if (from >= to) continue
      const a = high[to]
      const b = -high[from]
      const c = low[to]
      const d = -low[from]
      const s = a + b
      const sb = s - a
      const e = a - (s - sb) + (b - sb)
      const t = c + d
      const tb = t - c
      const f = c - (t - tb) + (d - tb)
      const u = e + t
      const ub = u - e
      const g = e - (u - ub) + (t - ub)
      if (f !== 0 || g !== 0) return false
      sums[row] = s + u
    }
    return true
  }
}
