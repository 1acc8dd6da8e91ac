/** From `time` (epoch ms) on, until the next change, a bucket's states held the events below `nextOffset`, of the views of set number `set`. */
export interface BucketChange {
  readonly time: number
  readonly epoch: number
  readonly nextOffset: number
  readonly set: number
}

interface Range {
  readonly from: number
  readonly to: number
  /** Where the archive ends. */
  readonly endOffset: number
}

/**
 * The changes of one bucket's live marker, added in any order and any number of times. Only those are kept that times `from`…`to` can tell apart: the last one at or before
 * `from`, and those after it up to `to`.
 */
export class BucketChanges {
  readonly #range: Range
  /** Changes after `from`. */
  #changes: BucketChange[] = []
  #base: BucketChange | null = null
  #isSorted = true
  /** Time of the first change that let events at or beyond `endOffset` be seen; Infinity: none did. */
  firstBeyond = Infinity

  constructor(range: Range) {
    this.#range = range
  }

  add(change: BucketChange): void {
    const { from, to, endOffset } = this.#range
    if (change.nextOffset > endOffset) this.firstBeyond = Math.min(this.firstBeyond, change.time)
    if (change.time > to) return
    if (change.time <= from) {
      if (this.#base === null || order(this.#base, change) < 0) this.#base = change
      return
    }
    const last = this.#changes.at(-1)
    const step = last === undefined ? -1 : order(last, change)
    if (step === 0) return
    if (step > 0) this.#isSorted = false
    // What lasted less than a millisecond no time can tell apart.
    if (step < 0 && last?.time === change.time) this.#changes[this.#changes.length - 1] = change
    else this.#changes.push(change)
  }

  /** The change in effect at a time of the range: the last one stamped at or before it. Null: there was none. */
  at(time: number): BucketChange | null {
    if (!this.#isSorted) {
      this.#changes.sort(order)
      this.#isSorted = true
    }
    let low = 0
    let high = this.#changes.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#changes[middle].time <= time) low = middle + 1
      else high = middle
    }
    return low === 0 ? this.#base : this.#changes[low - 1]
  }

  /** The first change after a time for which `matches` holds. */
  firstAfter(time: number, matches: (change: BucketChange) => boolean): BucketChange | null {
    return this.#changes.find((change) => change.time > time && matches(change)) ?? null
  }
}

/** Changes of a marker in the order in which they were made. */
function order(a: BucketChange, b: BucketChange): number {
  return a.time - b.time || a.epoch - b.epoch || a.nextOffset - b.nextOffset
}
