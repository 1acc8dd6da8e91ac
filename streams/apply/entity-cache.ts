import { StateTable } from '../../features/kernel/state-table.ts'
import type { ViewKernel } from '../../features/kernel/view-kernel.ts'
import type { StateParts } from '../../features/kernel/state-parts.ts'
import { failStream } from '../errors.ts'

/** An entity whose states are in memory, in a slot of each view's table. */
export interface CachedEntity {
  readonly key: Uint8Array
  readonly bucket: number
  readonly slots: Int32Array
  /** Number of the flush before which it was last used. */
  usedAt: number
}

export interface CacheLimits {
  readonly entities: number
  readonly tiles: number
}

/** Decoded states of a partition's entities, by name (see `entityNamesOfBatch`). After a flush the least recently used ones leave, down to the limits. */
export class EntityCache {
  readonly tables: readonly StateTable[]
  readonly #limits: CacheLimits
  /** In order of last use, oldest first: a used entity moves to the end. */
  readonly #entities = new Map<string, CachedEntity>()

  constructor(kernels: readonly ViewKernel[], limits: CacheLimits) {
    this.tables = kernels.map((kernel) => new StateTable(kernel))
    this.#limits = limits
  }

  get size(): number {
    return this.#entities.size
  }

  get tiles(): number {
    return this.tables.reduce((sum, table) => sum + table.tiles, 0)
  }

  /** The entity, if it is held; used before flush number `flush`. */
  use(name: string, flush: number): CachedEntity | undefined {
    const entity = this.#entities.get(name)
    if (entity === undefined || entity.usedAt === flush) return entity
    entity.usedAt = flush
    this.#entities.delete(name)
    this.#entities.set(name, entity)
    return entity
  }

  /** Takes in an entity with its stored states, one per view. TM_STATE_UNREADABLE. */
  add(
    name: string,
    stored: { readonly key: Uint8Array; readonly bucket: number; readonly states: readonly (StateParts | null)[] },
    flush: number,
  ): CachedEntity {
    const slots = Int32Array.from(this.tables, (table, view) => {
      const slot = table.open()
      const state = stored.states[view]
      if (state !== null) decodeState(table, slot, state, name)
      return slot
    })
    const entity = { key: stored.key, bucket: stored.bucket, slots, usedAt: flush }
    this.#entities.set(name, entity)
    return entity
  }

  /** Lets go of an entity whose states are in the store as they are here. */
  drop(name: string): void {
    const entity = this.#entities.get(name)
    if (entity === undefined) return
    this.tables.forEach((table, view) => table.close(entity.slots[view]))
    this.#entities.delete(name)
  }

  /** The states of an entity are in the store as they are here. */
  markStored({ slots }: CachedEntity): void {
    this.tables.forEach((table, view) => table.markStored(slots[view]))
  }

  /** Everything held has been flushed: lets go of the least recently used entities beyond the limits. */
  trim(): void {
    for (const [name, entity] of this.#entities) {
      if (this.#entities.size <= this.#limits.entities && this.tiles <= this.#limits.tiles) return
      this.tables.forEach((table, view) => table.close(entity.slots[view]))
      this.#entities.delete(name)
    }
  }
}

function decodeState(table: StateTable, slot: number, state: StateParts, name: string): void {
  try {
    table.decode(slot, state)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw failStream(
      'TM_STATE_UNREADABLE',
      `the stored state of entity key ${JSON.stringify(name)} in view ${table.kernel.view.plan.name} cannot be decoded (${error.message}): the online store is damaged; remove it and start again, so that states are rebuilt from the log`,
      { cause: error },
    )
  }
}
