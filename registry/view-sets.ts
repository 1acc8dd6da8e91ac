import { createHash } from 'node:crypto'
import type { MetadataStore } from '../stores/metadata/metadata-store.ts'

const SCOPE = 'view-set'

/** What a live set's marker says it covers: SHA-256 over its sorted view versions, '' for none. */
export function viewsHash(versions: readonly string[]): string {
  if (versions.length === 0) return ''
  return createHash('sha256')
    .update([...versions].sort().join('\n'))
    .digest('hex')
}

/** The sets of view versions behind the hashes in markers. A set is written down before any marker names it, and never changes. */
export class ViewSets {
  readonly #metadata: MetadataStore
  readonly #known = new Map<string, ReadonlySet<string>>([['', new Set()]])

  constructor(metadata: MetadataStore) {
    this.#metadata = metadata
  }

  /** Makes the set readable; returns its hash. */
  async save(versions: readonly string[]): Promise<string> {
    const hash = viewsHash(versions)
    if (!this.#known.has(hash)) {
      await this.#metadata.writeProgress(SCOPE, hash, [...versions].sort())
      this.#known.set(hash, new Set(versions))
    }
    return hash
  }

  /** The set, if this process has met its hash before. */
  known(hash: string): ReadonlySet<string> | undefined {
    return this.#known.get(hash)
  }

  async read(hash: string): Promise<ReadonlySet<string>> {
    const known = this.#known.get(hash)
    if (known !== undefined) return known
    const versions = new Set((await this.#metadata.readProgress<string[]>(SCOPE, hash)) ?? [])
    if (versions.size > 0) this.#known.set(hash, versions)
    return versions
  }
}
