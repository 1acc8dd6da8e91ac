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
  /** Which version a bare name means now. */
  aliases: { kind: string; name: string; version: string }
  /** Descriptive data of the current definition (owner, tags, description, freshness): JSON. */
  catalog: { kind: string; name: string; data: string }
}
