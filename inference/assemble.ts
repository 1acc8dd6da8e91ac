import type { CompiledService } from '../features/kernel/compiled-view.ts'
import type { FunctionFailure } from '../features/kernel/function-failures.ts'
import type { Value } from '../features/plan/field-type.ts'
import type { Registry } from '../registry/registry.ts'
import type { EntityRead, EntityReadResult, OnlineStore } from '../stores/online/online-store.ts'
import { readLive, readLiveNow } from './live-check.ts'
import { parseRow } from './parse-rows.ts'
import type { Row } from './parse-rows.ts'
import { RowCache } from './row-cache.ts'
import { ServedVector } from './served-vector.ts'
import { openServiceLayout, vectorNames } from './service-layout.ts'
import type { ServiceLayout, ViewPart } from './service-layout.ts'
import { keyBytes, keyText, valuesText, ViewEntry } from './view-entry.ts'
import type { HeldState } from './view-entry.ts'

export interface FeatureReaderOptions {
  readonly registry: Registry
  readonly online: OnlineStore
  readonly buckets: number
  readonly partitions: number
  readonly now: () => number
  /** Memory for states and values of entities that were read, default 256 MiB; 0: none. */
  readonly cacheBytesMax?: number
}

/** What a reader did since it was made, in entity reads of one view. */
export interface ReaderCounts {
  /** Values that were there already. */
  readonly hits: number
  /** Values that were computed from the stored state. */
  readonly evaluations: number
}

const CACHE_BYTES_MAX = 256 << 20

/** Reads a service's vectors from the online store: one read for all rows and views, one evaluation time per row. */
export class FeatureReader {
  readonly #options: FeatureReaderOptions
  readonly #layouts = new Map<string, ServiceLayout>()
  readonly #cache: RowCache<ViewEntry>
  readonly #rows = new Map<ServiceLayout, Map<string, KeyedRow>>()
  #rowsGeneration = 0
  #reads = 0
  #evaluations = 0
  readonly #onEvaluate = (): void => {
    this.#evaluations++
  }

  constructor(options: FeatureReaderOptions) {
    this.#options = options
    this.#cache = new RowCache(options.cacheBytesMax ?? CACHE_BYTES_MAX)
  }

  /** All names of a vector: features, request fields, derived fields. */
  static names(service: CompiledService): string[] {
    return vectorNames(service)
  }

  get counts(): ReaderCounts {
    return { hits: this.#reads - this.#evaluations, evaluations: this.#evaluations }
  }

  /** Calls of derive functions that gave nothing since the reader was made, by service. */
  get functionFailures(): (FunctionFailure & { readonly service: string })[] {
    return [...this.#layouts.values()].flatMap(({ service, failures }) =>
      failures.list().map((failure) => ({ service: service.plan.name, ...failure })),
    )
  }

  /** The layout of a service's vector. */
  async layout(service: CompiledService): Promise<ServiceLayout> {
    const known = this.#layouts.get(service.version)
    if (known !== undefined) return known
    const layout = await openServiceLayout(this.#options.registry, service)
    this.#layouts.set(service.version, layout)
    return layout
  }

  /**
   * Vectors for entities (rows of key columns) and their request fields. Ownership: values may be shared with later vectors, do not change them.
   * TM_ENTITY_KEY, TM_REQUEST_FIELD, TM_UNKNOWN_FIELD, TM_SERVICE_NOT_READY, TM_STATE_DAMAGED.
   */
  async read(service: CompiledService, entities: readonly Row[], requests: readonly Row[]): Promise<ServedVector[]> {
    const asked = this.#ask(await this.layout(service), entities, requests)
    const { online, registry } = this.#options
    return this.#vectors(asked, await readLive(online, registry.viewSets, asked.layout.views, asked.reads))
  }

  /** The same at once; null where that takes waiting or a second look: `read` does it then. Throws what `read` throws for wrong rows. */
  readNow(service: CompiledService, entities: readonly Row[], requests: readonly Row[]): ServedVector[] | null {
    const layout = this.#layouts.get(service.version)
    if (layout === undefined) return null
    const asked = this.#ask(layout, entities, requests)
    const { online, registry } = this.#options
    const results = readLiveNow(online, registry.viewSets, layout.views, asked.reads)
    return results === null ? null : this.#vectors(asked, results)
  }

  #ask(layout: ServiceLayout, entities: readonly Row[], requests: readonly Row[]): Asked {
    const rows = entities.map((entity, i) => this.#row(layout, parseRow(layout.keys, entity, i, 'TM_ENTITY_KEY')))
    const fields = layout.service.plan.request
    const request = entities.map((_, i) => parseRow(fields, requests[i] ?? NO_FIELDS, i, 'TM_REQUEST_FIELD'))
    const held: HeldState[] = []
    const reads: EntityRead[] = []
    for (const { entries } of rows) {
      for (const entry of entries) {
        held.push(entry.held)
        reads.push(entry.held.read)
      }
    }
    return { layout, rows, request, held, reads }
  }

  #vectors({ layout, rows, request, held }: Asked, results: readonly EntityReadResult[]): ServedVector[] {
    const now = Math.floor(this.#options.now())
    const count = layout.views.length
    return rows.map((row, i) => {
      const found = row.entries.map((entry, v) => entry.take(held[i * count + v], results[i * count + v]))
      return this.#vector(layout, row, request[i], found, now)
    })
  }

  #vector(
    layout: ServiceLayout,
    { keys, keyHash, entries }: KeyedRow,
    request: readonly Value[],
    held: readonly HeldState[],
    now: number,
  ): ServedVector {
    let evaluatedAt = now
    for (const { newestTau } of held) evaluatedAt = Math.max(evaluatedAt, newestTau + 1)
    const views = entries.map((entry, v) => {
      const before = entry.bytes
      const values = entry.valuesAt(held[v], evaluatedAt, this.#onEvaluate)
      if (entry.bytes > before) this.#cache.grew(entry.bytes - before)
      return values
    })
    this.#reads += entries.length
    return new ServedVector({ layout, keys, keyHash, request, views, held, evaluatedAt })
  }

  /** The row as it was put together before, while the cache has not let entries go since. */
  #row(layout: ServiceLayout, keys: readonly Value[]): KeyedRow {
    const text = valuesText(keys)
    const known = this.#rowsOf(layout).get(text)
    if (known !== undefined) return known
    const entries = layout.views.map((part) => this.#entry(part, keys))
    let hash = 0
    for (const entry of entries) hash = Math.imul(hash ^ entry.keyHash, HASH_PRIME)
    const row: KeyedRow = { keys, keyHash: (hash ^ (hash >>> 15)) >>> 0, entries }
    if (this.#options.cacheBytesMax === 0) return row
    this.#rowsOf(layout).set(text, row)
    this.#cache.grew(ROW_BYTES + 2 * text.length)
    return row
  }

  #rowsOf(layout: ServiceLayout): Map<string, KeyedRow> {
    const { generation } = this.#cache
    if (generation !== this.#rowsGeneration) {
      this.#rows.clear()
      this.#rowsGeneration = generation
    }
    const rows = this.#rows.get(layout) ?? new Map<string, KeyedRow>()
    if (rows.size === 0) this.#rows.set(layout, rows)
    return rows
  }

  #entry(part: ViewPart, keys: readonly Value[]): ViewEntry {
    const text = keyText(part, keys)
    const held = this.#cache.get(text, bytesOf)
    if (held !== undefined) return held
    const { buckets, partitions } = this.#options
    const entry = new ViewEntry(part, keyBytes(part, keys), buckets, partitions)
    this.#cache.set(text, entry, entry.bytes)
    return entry
  }
}

/** A row's keys, and its entry in each view. */
interface KeyedRow {
  readonly keys: readonly Value[]
  readonly keyHash: number
  readonly entries: readonly ViewEntry[]
}

/** Rows to read: view by view, row after row. */
interface Asked {
  readonly layout: ServiceLayout
  readonly rows: readonly KeyedRow[]
  readonly request: readonly (readonly Value[])[]
  /** What each entry held when it was asked for. */
  readonly held: readonly HeldState[]
  readonly reads: readonly EntityRead[]
}

const NO_FIELDS: Row = {}
const HASH_PRIME = 0x9e3779b1
const ROW_BYTES = 250

function bytesOf(entry: ViewEntry): number {
  return entry.bytes
}
