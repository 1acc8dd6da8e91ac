/**
 * A cache of at most about `bytesMax` bytes in two generations: entries that were not asked for while the young one filled up go when the next one
 * has. A hit in the young generation costs one look-up.
 */
export class RowCache<T> {
  readonly #bytesMax: number
  #young = new Map<string, T>()
  #old = new Map<string, T>()
  #youngBytes = 0
  #generation = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  /** Changes whenever entries go. */
  get generation(): number {
    return this.#generation
  }

  get(key: string, bytesOf: (entry: T) => number): T | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    if (old !== undefined) {
      this.#old.delete(key)
      this.set(key, old, bytesOf(old))
    }
    return old
  }

  set(key: string, entry: T, bytes: number): void {
    if (this.#bytesMax <= 0) return
    this.#young.set(key, entry)
    this.grew(bytes)
  }

  /** An entry in the cache holds this many bytes more. */
  grew(bytes: number): void {
    this.#youngBytes += bytes
    if (this.#youngBytes * 2 <= this.#bytesMax) return
    this.#old = this.#young
    this.#young = new Map()
    this.#youngBytes = 0
    this.#generation++
  }
}
