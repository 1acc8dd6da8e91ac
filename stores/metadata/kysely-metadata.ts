import type { Expression, Kysely } from 'kysely'
import { Leases } from './leases.ts'
import type { MetadataStore } from './metadata-store.ts'
import type { MetadataTables } from './tables.ts'

/** The port over any Kysely database that has the tables. */
export class KyselyMetadata implements MetadataStore {
  readonly db: Kysely<MetadataTables>
  /** See `MetadataStore.version`. */
  readonly version: () => Promise<number>
  readonly leases: Leases
  #closed = false

  /** `now`: epoch ms by the database's clock. */
  constructor(db: Kysely<MetadataTables>, version: () => Promise<number>, now: Expression<number>) {
    this.db = db
    this.version = version
    this.leases = new Leases(db, now)
  }

  async readProgress<T>(scope: string, key: string): Promise<T | null> {
    const row = await this.db
      .selectFrom('progress')
      .select('value')
      .where('scope', '=', scope)
      .where('key', '=', key)
      .executeTakeFirst()
    return row === undefined ? null : (JSON.parse(row.value) as T)
  }

  async writeProgress(scope: string, key: string, value: unknown): Promise<void> {
    const text = JSON.stringify(value)
    await this.db
      .insertInto('progress')
      .values({ scope, key, value: text })
      .onConflict((conflict) => conflict.columns(['scope', 'key']).doUpdateSet({ value: text }))
      .execute()
  }

  async listProgress<T>(scope: string): Promise<ReadonlyMap<string, T>> {
    const rows = await this.db
      .selectFrom('progress')
      .select(['key', 'value'])
      .where('scope', '=', scope)
      .orderBy('key')
      .execute()
    return new Map(rows.map((row) => [row.key, JSON.parse(row.value) as T]))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.db.destroy()
  }
}
