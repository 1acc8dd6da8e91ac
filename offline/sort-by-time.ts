/** Segments up to this long are sorted by insertion. */
const INSERTION_MAX = 48
/** Up to this long by merging: the counts of a radix sort would take longer. */
const MERGE_MAX = 2048
/** What merging begins with. */
const RUN = 16
const DIGIT_BITS = 11
const DIGITS = 1 << DIGIT_BITS
/** Times are often whole minutes or seconds: that many ranks fewer to sort by. */
const UNITS = [60_000, 1000, 1]
const RANKS = 2 ** 31

/** Sorts numbers in place and items with them, stably: usually they are sorted already, or nearly so. Numbers are integers less than 2^53 apart. */
export class TimeSorter {
  #keys = new Float64Array(0)
  #items = new Int32Array(0)
  readonly #counts = new Int32Array(DIGITS)
  #ranks = new Int32Array(0)
  #otherRanks = new Int32Array(0)

  sort(keys: Float64Array, items: Int32Array, from: number, to: number): void {
    let sorted = from + 1
    while (sorted < to && keys[sorted] >= keys[sorted - 1]) sorted++
    if (sorted >= to) return
    if (to - from <= INSERTION_MAX) insertionSort(keys, items, sorted, from, to)
    else if (to - from <= MERGE_MAX) this.#mergeSort(keys, items, from, to)
    else this.#radixSort(keys, items, from, to)
  }

  #room(length: number): void {
    if (this.#keys.length >= length) return
    this.#keys = new Float64Array(Math.max(length, 2 * this.#keys.length))
    this.#items = new Int32Array(this.#keys.length)
  }

  /** Sorted runs of a few are merged to runs of twice as many, from one pair of arrays to the other and back. */
  #mergeSort(keys: Float64Array, items: Int32Array, from: number, to: number): void {
    const length = to - from
    this.#room(length)
    for (let at = from; at < to; at += RUN) insertionSort(keys, items, at + 1, at, Math.min(at + RUN, to))
    let source = { keys, items, at: from }
    let target: typeof source = { keys: this.#keys, items: this.#items, at: 0 }
    for (let run = RUN; run < length; run *= 2) {
      for (let at = 0; at < length; at += 2 * run)
        merge(source, target, { at, middle: Math.min(at + run, length), end: Math.min(at + 2 * run, length) })
      ;[source, target] = [target, source]
    }
    this.#finish(source, { keys, items, from, length })
  }

  #radixSort(keys: Float64Array, items: Int32Array, from: number, to: number): void {
    let least = Infinity
    let greatest = -Infinity
    for (let i = from; i < to; i++) {
      if (keys[i] < least) least = keys[i]
      if (keys[i] > greatest) greatest = keys[i]
    }
    this.#room(to - from)
    for (const unit of UNITS)
      if (greatest - least < unit * RANKS && this.#rank(keys, { from, to, least, unit })) {
        this.#sortByRank(items, from, to, (greatest - least) / unit)
        for (let i = from; i < to; i++) keys[i] = least + this.#ranks[i - from] * unit
        return
      }
    this.#sortWide(keys, items, { from, to, least, greatest })
  }

  /** Numbers as whole units from the least on; false where one is none. */
  #rank(keys: Float64Array, { from, to, least, unit }: { from: number; to: number; least: number; unit: number }) {
    if (this.#ranks.length < to - from) {
      this.#ranks = new Int32Array(this.#items.length)
      this.#otherRanks = new Int32Array(this.#items.length)
    }
    const ranks = this.#ranks
    for (let i = from; i < to; i++) {
      const difference = keys[i] - least
      const rank = Math.floor(difference / unit)
      if (rank * unit !== difference) return false
      ranks[i - from] = rank
    }
    return true
  }

  /** Sorts `#ranks` and items with them, in as few passes as the greatest rank asks for. */
  #sortByRank(items: Int32Array, from: number, to: number, greatest: number): void {
    const bits = 32 - Math.clz32(greatest)
    const passes = Math.ceil(bits / DIGIT_BITS)
    const width = Math.ceil(bits / passes)
    const own = items.subarray(from, to)
    let source: Int32Array = own
    let target: Int32Array = this.#items.subarray(0, to - from)
    for (let pass = 0; pass < passes; pass++) {
      distribute({ ranks: this.#ranks, items: source }, { ranks: this.#otherRanks, items: target }, this.#counts, {
        shift: pass * width,
        digits: 1 << width,
      })
      ;[source, target] = [target, source]
      ;[this.#ranks, this.#otherRanks] = [this.#otherRanks, this.#ranks]
    }
    if (source !== own) own.set(source)
  }

  #sortWide(
    keys: Float64Array,
    items: Int32Array,
    { from, to, least, greatest }: { from: number; to: number; least: number; greatest: number },
  ): void {
    const length = to - from
    let source = { keys, items, at: from }
    let target: typeof source = { keys: this.#keys, items: this.#items, at: 0 }
    const count = this.#counts
    for (let scale = 1; greatest - least >= scale; scale *= DIGITS) {
      count.fill(0)
      for (let i = 0; i < length; i++) count[digit(source.keys[source.at + i] - least, scale)]++
      // All in one digit: nothing moves.
      if (count[digit(source.keys[source.at] - least, scale)] === length) continue
      let start = 0
      for (let d = 0; d < DIGITS; d++) {
        const n = count[d]
        count[d] = start
        start += n
      }
      for (let i = 0; i < length; i++) {
        const key = source.keys[source.at + i]
        const place = target.at + count[digit(key - least, scale)]++
        target.keys[place] = key
        target.items[place] = source.items[source.at + i]
      }
      ;[source, target] = [target, source]
    }
    this.#finish(source, { keys, items, from, length })
  }

  /** What came to lie in the room of this object goes back. */
  #finish(source: Sorted, { keys, items, from, length }: Omit<Sorted, 'at'> & { from: number; length: number }): void {
    if (source.keys === keys) return
    keys.set(source.keys.subarray(0, length), from)
    items.set(source.items.subarray(0, length), from)
  }
}

interface Sorted {
  readonly keys: Float64Array
  readonly items: Int32Array
  readonly at: number
}

/** Two runs that follow each other, at…middle − 1 and middle…end − 1; of equal keys those of the first come first. */
function merge(source: Sorted, target: Sorted, run: { at: number; middle: number; end: number }): void {
  const { keys, items, at: base } = source
  const end = base + run.end
  const middle = base + run.middle
  let left = base + run.at
  let right = middle
  for (let out = target.at + run.at; out < target.at + run.end; out++) {
    const from = right >= end || (left < middle && keys[left] <= keys[right]) ? left++ : right++
    target.keys[out] = keys[from]
    target.items[out] = items[from]
  }
}

interface Ranked {
  readonly ranks: Int32Array
  readonly items: Int32Array
}

/** One pass of a radix sort: from `source` to `target` by the digit at `shift`, stably. */
function distribute(
  source: Ranked,
  target: Ranked,
  count: Int32Array,
  { shift, digits }: { shift: number; digits: number },
): void {
  const { ranks, items } = source
  const { ranks: otherRanks, items: otherItems } = target
  const { length } = items
  const mask = digits - 1
  count.fill(0)
  for (let i = 0; i < length; i++) count[(ranks[i] >>> shift) & mask]++
  for (let d = 0, start = 0; d < digits; d++) {
    const n = count[d]
    count[d] = start
    start += n
  }
  for (let i = 0; i < length; i++) {
    const rank = ranks[i]
    const place = count[(rank >>> shift) & mask]++
    otherRanks[place] = rank
    otherItems[place] = items[i]
  }
}

function digit(difference: number, scale: number): number {
  return Math.floor(difference / scale) & (DIGITS - 1)
}

function insertionSort(keys: Float64Array, items: Int32Array, sorted: number, from: number, to: number): void {
  for (let i = sorted; i < to; i++) {
    const key = keys[i]
    const item = items[i]
    let at = i
    while (at > from && keys[at - 1] > key) {
      keys[at] = keys[at - 1]
      items[at] = items[at - 1]
      at--
    }
    keys[at] = key
    items[at] = item
  }
}
