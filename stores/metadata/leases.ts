import { sql } from 'kysely'
import type { Expression, Kysely } from 'kysely'
import type { MetadataTables } from './tables.ts'

/** One of a scope, as the database has it. */
export interface Lease {
  readonly name: string
  readonly holder: string
  /** What the holder says of itself; text. */
  readonly data: string
  /** Until it ends, by the database's clock; 0 or less: it has, and who asks first gets it. */
  readonly leftMs: number
}

/**
 * Rights that one process has for a while, renewed before they end. The database's own clock alone decides when one has ended, so that the clocks of hosts need not agree. A lease is a courtesy between processes
 * that would get in each other's way; whoever has one may have lost it a moment ago, so what must not happen twice is guarded elsewhere.
 */
export class Leases {
  readonly #db: Kysely<MetadataTables>
  readonly #now: Expression<number>

  /** `now`: epoch ms by the database's clock. */
  constructor(db: Kysely<MetadataTables>, now: Expression<number>) {
    this.#db = db
    this.#now = now
  }

  /** Of these names takes what nobody holds, and renews what this holder has, in one change. Returns those that it has now. */
  async hold(
    scope: string,
    names: readonly string[],
    holder: string,
    { ms, data = '' }: { readonly ms: number; readonly data?: string },
  ): Promise<string[]> {
    if (names.length === 0) return []
    const ends = sql<number>`${this.#now} + ${sql.lit(ms)}`
    const rows = await this.#db
      .insertInto('leases')
      .values(names.map((name) => ({ scope, name, holder, data, ends_at: ends })))
      .onConflict((conflict) =>
        conflict
          .columns(['scope', 'name'])
          .doUpdateSet({ holder, data, ends_at: ends })
          .where((where) => where.or([where('leases.holder', '=', holder), where('leases.ends_at', '<=', this.#now)])),
      )
      .returning('name')
      .execute()
    return rows.map(({ name }) => name).sort()
  }

  /** Renews everything that a holder has, in every scope: what has ended too, where nobody took it meanwhile. Returns how many. */
  async renew(holder: string, ms: number): Promise<number> {
    const [{ numUpdatedRows }] = await this.#db
      .updateTable('leases')
      .set({ ends_at: sql<number>`${this.#now} + ${sql.lit(ms)}` })
      .where('holder', '=', holder)
      .execute()
    return Number(numUpdatedRows)
  }

  /** Lets go of one, if this holder has it. */
  async release(scope: string, name: string, holder: string): Promise<void> {
    await this.#db
      .deleteFrom('leases')
      .where('scope', '=', scope)
      .where('name', '=', name)
      .where('holder', '=', holder)
      .execute()
  }

  /** Lets go of everything that a holder has. */
  async releaseAll(holder: string): Promise<void> {
    await this.#db.deleteFrom('leases').where('holder', '=', holder).execute()
  }

  /** All of a scope, by name; those that have ended too, until somebody takes them or `sweep` deletes them. */
  async list(scope: string): Promise<Lease[]> {
    return this.#db
      .selectFrom('leases')
      .select(['name', 'holder', 'data', sql<number>`ends_at - ${this.#now}`.as('leftMs')])
      .where('scope', '=', scope)
      .orderBy('name')
      .execute()
  }

  /** Deletes those of a scope that ended at least so long ago. */
  async sweep(scope: string, endedMs: number): Promise<void> {
    await this.#db
      .deleteFrom('leases')
      .where('scope', '=', scope)
      .where('ends_at', '<=', sql<number>`${this.#now} - ${sql.lit(endedMs)}`)
      .execute()
  }
}
