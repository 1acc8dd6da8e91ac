import { lowerBound } from './track-cells.ts'

/*
 * Sliding windows over events that become visible in another order than that of τ: two cursors, one over the order of visibility, one over that of τ. An
 * event is added when it becomes visible, unless the window's start has passed it, and taken out when the start passes it, if it was visible then. So each
 * event costs O(1) per window (and O(log) once per group), however late it is.
 */

/** The events of a group by τ. */
export class LateOrder {
  #tau = new Float64Array(0)
  #eventAt = new Int32Array(0)
  #rankOf = new Int32Array(0)
  #first = 0
  #length = 0

  /** τ of the events first…end − 1 in the order in which they become visible. */
  open(tau: Float64Array, first: number, end: number): void {
    const length = end - first
    if (this.#tau.length < length) {
      this.#tau = new Float64Array(2 * length)
      this.#eventAt = new Int32Array(2 * length)
      this.#rankOf = new Int32Array(2 * length)
    }
    this.#first = first
    this.#length = length
    const sorted = this.#tau.subarray(0, length)
    sorted.set(tau.subarray(first, end))
    sorted.sort()
    // Events of one τ take the places from its first on, one after the other.
    const taken = this.#eventAt
    taken.fill(0, 0, length)
    for (let i = 0; i < length; i++) {
      const from = lowerBound(sorted, tau[first + i], length)
      this.#rankOf[i] = from + taken[from]++
    }
    for (let i = 0; i < length; i++) taken[this.#rankOf[i]] = first + i
  }

  /** Per row: how many of the visible events (those before `ends`) are at or after `oldest`. `oldest` does not go down. */
  counts(oldest: Float64Array, ends: Int32Array, rows: number, counts: Int32Array): void {
    const first = this.#first
    let start = 0
    let next = first
    let count = 0
    for (let row = 0; row < rows; row++) {
      for (; next < ends[row]; next++) if (this.#rankOf[next - first] >= start) count++
      for (; start < this.#length && this.#tau[start] < oldest[row]; start++) if (this.#eventAt[start] < next) count--
      counts[row] = count
    }
  }

  /** Per row: round(Σ) of those events' values; false where two doubles do not hold a sum exactly. */
  sums(values: Float64Array, oldest: Float64Array, ends: Int32Array, rows: number, sums: Float64Array): boolean {
    const first = this.#first
    let start = 0
    let next = first
    // Σ = high + low, high = round(Σ); see `SumCells`.
    let high = 0
    let low = 0
    for (let row = 0; row < rows; row++) {
      for (;;) {
        let b = 0
        if (next < ends[row]) {
          if (this.#rankOf[next++ - first] < start) continue
          b = values[next - 1]
        } else if (start < this.#length && this.#tau[start] < oldest[row]) {
          if (this.#eventAt[start++] >= next) continue
          b = -values[this.#eventAt[start - 1]]
        } else break
        const s = high + b
        const sb = s - high
        const e = high - (s - sb) + (b - sb)
        const u = low + e
        const ub = u - low
        if (low - (u - ub) + (e - ub) !== 0) return false
        high = s + u
        const hb = high - s
        low = s - (high - hb) + (u - hb)
        // Not a number where the sum overflows.
        if (low !== low) return false
      }
      sums[row] = high
    }
    return true
  }

  /**
   * Per window and row: the least of sign · value among those events, Infinity without one. One list for all windows, the longest last: by τ, each entry
   * less than all after it; a late event goes between, and what it makes useless goes.
   */
  extremes(
    values: Float64Array,
    sign: 1 | -1,
    { oldest, ends, rows }: { oldest: readonly Float64Array[]; ends: Int32Array; rows: number },
    out: readonly Float64Array[],
  ): void {
    const list = new ExtremeList(this.#length)
    const longest = oldest[oldest.length - 1]
    let next = this.#first
    for (let row = 0; row < rows; row++) {
      list.dropBefore(longest[row])
      for (; next < ends[row]; next++) {
        const tau = this.#tau[this.#rankOf[next - this.#first]]
        if (tau >= longest[row]) list.add(tau, sign * values[next])
      }
      for (let w = 0; w < oldest.length; w++) out[w][row] = list.leastFrom(oldest[w][row])
    }
  }
}

/** Entries head…tail − 1, by τ and by value. */
class ExtremeList {
  readonly #tau: Float64Array
  readonly #value: Float64Array
  #head = 0
  #tail = 0

  constructor(capacity: number) {
    this.#tau = new Float64Array(capacity)
    this.#value = new Float64Array(capacity)
  }

  dropBefore(tau: number): void {
    while (this.#head < this.#tail && this.#tau[this.#head] < tau) this.#head++
    if (this.#head === this.#tail) this.#head = this.#tail = 0
  }

  add(tau: number, value: number): void {
    // After all entries of its τ.
    let at = this.#tail
    while (at > this.#head && this.#tau[at - 1] > tau) at--
    if (at < this.#tail && this.#value[at] <= value) return
    let from = at
    while (from > this.#head && this.#value[from - 1] >= value) from--
    const kept = this.#tail - at
    if (from + 1 !== at && kept > 0) {
      this.#tau.copyWithin(from + 1, at, this.#tail)
      this.#value.copyWithin(from + 1, at, this.#tail)
    }
    this.#tau[from] = tau
    this.#value[from] = value
    this.#tail = from + 1 + kept
  }

  leastFrom(tau: number): number {
    let low = this.#head
    let high = this.#tail
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#tau[middle] < tau) low = middle + 1
      else high = middle
    }
    return low < this.#tail ? this.#value[low] : Infinity
  }
}
