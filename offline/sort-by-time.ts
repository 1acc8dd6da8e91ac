/** Segments up to this long are sorted by insertion. */
const INSERTION_MAX = 48
const DIGIT_BITS = 11
const DIGITS = 1 << DIGIT_BITS

/** Sorts numbers in place and items with them, stably: usually they are sorted already, or nearly so. Numbers are integers less than 2^53 apart. */
export class TimeSorter {
  #keys = new Float64Array(0)
  #items = new Int32Array(0)
  readonly #counts = new Int32Array(DIGITS)

  sort(keys: Float64Array, items: Int32Array, from: number, to: number): void {
    let sorted = from + 1
    while (sorted < to && keys[sorted] >= keys[sorted - 1]) sorted++
    if (sorted >= to) return
    if (to - from <= INSERTION_MAX) insertionSort(keys, items, sorted, from, to)
    else this.#radixSort(keys, items, from, to)
  }

  #radixSort(keys: Float64Array, items: Int32Array, from: number, to: number): void {
    const length = to - from
    if (this.#keys.length < length) {
      this.#keys = new Float64Array(Math.max(length, 2 * this.#keys.length))
      this.#items = new Int32Array(this.#keys.length)
    }
    let least = Infinity
    let greatest = -Infinity
    for (let i = from; i < to; i++) {
      if (keys[i] < least) least = keys[i]
      if (keys[i] > greatest) greatest = keys[i]
    }
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
    if (source.keys === keys) return
    keys.set(source.keys.subarray(0, length), from)
    items.set(source.items.subarray(0, length), from)
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
