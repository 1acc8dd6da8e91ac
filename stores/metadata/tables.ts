import type { Generated } from 'kysely'

/** Tables of the metadata store. JSON as text, booleans as integers, times as epoch ms. */
export interface MetadataTables {
  progress: { scope: string; key: string; value: string }
  /** Immutable: every version ever registered. `code` is bundled JavaScript, '' for none. */
  versions: {
    kind: string
    name: string
    version: string
    plan: string
    code: string
    created_at: number
    git_commit: string | null
    git_dirty: number
  }
  /** The newest registered version of each name. */
  aliases: { kind: string; name: string; version: string }
  /** Which version a service's bare name reads: it follows `aliases` when all views of the version are live. */
  serving_aliases: { name: string; version: string }
  /** Every move of a serving alias, in order. */
  serving_history: { number: Generated<number>; name: string; version: string; moved_at: number }
  /** See `Leases`. */
  leases: { scope: string; name: string; holder: string; data: string; ends_at: number }
  /** Descriptive data of the current definition (owner, tags, description, freshness): JSON. */
  catalog: { kind: string; name: string; data: string }
}
