/** Numbers per entity in `#places`: where its ring starts in the arena, its capacity − 1 (−1: none), its first entry, its number of entries. */
const STRIDE = 4
const START = 0
const MASK = 1
const HEAD = 2
const COUNT = 3
const CAPACITY_MIN = 4

/**
 * Ascending tile numbers with the cell of each, for many entities: a ring per entity in one arena of numbers, so that a new tile at one end, and an old one
 * that leaves at the other, touch two places in memory and make no object.
 */
export class TileRings {
  #places = new Int32Array(0)
  /** Tile and cell, alternating. */
  #arena = new Float64Array(2 * 256)
  #used = 0
  /** Starts of rings that are free, by log2 of their capacity. */
  readonly #free: number[][] = []

  /** Makes room for entities 0…entities−1. */
  reserve(entities: number): void {
    const before = this.#places.length / STRIDE
    if (before >= entities) return
    const places = new Int32Array(STRIDE * Math.max(entities, 2 * before))
    places.set(this.#places)
    for (let entity = before; entity < places.length / STRIDE; entity++) places[STRIDE * entity + MASK] = -1
    this.#places = places
  }

  count(entity: number): number {
    return this.#places[STRIDE * entity + COUNT]
  }

  tile(entity: number, index: number): number {
    return this.#arena[this.#entry(entity, index)]
  }

  cell(entity: number, index: number): number {
    return this.#arena[this.#entry(entity, index) + 1]
  }

  /** All of an entity's tiles and cells; returns how many. The arrays have room for them. */
  copy(entity: number, tiles: Float64Array, cells: Int32Array): number {
    const place = STRIDE * entity
    const arena = this.#arena
    const start = this.#places[place + START]
    const mask = this.#places[place + MASK]
    const head = this.#places[place + HEAD]
    const count = this.#places[place + COUNT]
    for (let i = 0; i < count; i++) {
      const at = 2 * (start + ((head + i) & mask))
      tiles[i] = arena[at]
      cells[i] = arena[at + 1]
    }
    return count
  }

  /** First index below `end` whose tile is not less; `end` if all are. */
  lowerBound(entity: number, tile: number, end: number): number {
    let low = 0
    let high = end
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.tile(entity, middle) < tile) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Before the entry `index`; those from there on move by one. */
  insert(entity: number, index: number, tile: number, cell: number): void {
    const place = STRIDE * entity
    if (this.#places[place + COUNT] > this.#places[place + MASK]) this.#widen(entity)
    const places = this.#places
    const count = places[place + COUNT]++
    if (index === 0 && count > 0) places[place + HEAD] = (places[place + HEAD] - 1) & places[place + MASK]
    else for (let i = count; i > index; i--) this.#move(this.#entry(entity, i - 1), this.#entry(entity, i))
    const at = this.#entry(entity, index)
    this.#arena[at] = tile
    this.#arena[at + 1] = cell
  }

  dropOldest(entity: number): void {
    const places = this.#places
    const place = STRIDE * entity
    places[place + HEAD] = (places[place + HEAD] + 1) & places[place + MASK]
    places[place + COUNT]--
  }

  clear(entity: number): void {
    const places = this.#places
    const place = STRIDE * entity
    if (places[place + MASK] >= 0) this.#rings(places[place + MASK] + 1).push(places[place + START])
    places[place + MASK] = -1
    places[place + COUNT] = 0
  }

  #entry(entity: number, index: number): number {
    const places = this.#places
    const place = STRIDE * entity
    return 2 * (places[place + START] + ((places[place + HEAD] + index) & places[place + MASK]))
  }

  #move(from: number, to: number): void {
    this.#arena[to] = this.#arena[from]
    this.#arena[to + 1] = this.#arena[from + 1]
  }

  #widen(entity: number): void {
    const places = this.#places
    const place = STRIDE * entity
    const count = places[place + COUNT]
    const capacity = Math.max(CAPACITY_MIN, 2 * (places[place + MASK] + 1))
    const start = this.#rings(capacity).pop() ?? this.#allot(capacity)
    for (let i = 0; i < count; i++) this.#move(this.#entry(entity, i), 2 * (start + i))
    if (places[place + MASK] >= 0) this.#rings(places[place + MASK] + 1).push(places[place + START])
    places[place + START] = start
    places[place + MASK] = capacity - 1
    places[place + HEAD] = 0
  }

  #allot(capacity: number): number {
    const start = this.#used
    this.#used += capacity
    if (2 * this.#used > this.#arena.length) {
      const arena = new Float64Array(Math.max(2 * this.#used, 2 * this.#arena.length))
      arena.set(this.#arena)
      this.#arena = arena
    }
    return start
  }

  #rings(capacity: number): number[] {
    return (this.#free[Math.log2(capacity)] ??= [])
  }
}
