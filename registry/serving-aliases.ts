import type { MetadataStore } from '../stores/metadata/metadata-store.ts'

/** A service's two versions: the newest registered, and the one that its bare name reads. null: none yet. */
export interface ServiceAlias {
  readonly name: string
  readonly registered: string
  readonly serving: string | null
}

export interface AliasMove {
  readonly name: string
  readonly version: string
  /** Epoch ms. */
  readonly movedAt: number
}

/** Every registered service with what it serves. */
export async function readServiceAliases({ db }: MetadataStore): Promise<ServiceAlias[]> {
  const rows = await db
    .selectFrom('aliases')
    .leftJoin('serving_aliases', 'serving_aliases.name', 'aliases.name')
    .select(['aliases.name', 'aliases.version', 'serving_aliases.version as serving'])
    .where('aliases.kind', '=', 'service')
    .orderBy('aliases.name')
    .execute()
  return rows.map(({ name, version, serving }) => ({ name, registered: version, serving: serving ?? null }))
}

/** Lets a bare name read `version` from now on, if it is still the registered one. Keeps the history for rollbacks. Returns whether it moved. */
export async function moveServingAlias(
  { db }: MetadataStore,
  name: string,
  version: string,
  now: number,
): Promise<boolean> {
  return db.transaction().execute(async (transaction) => {
    const registered = await transaction
      .selectFrom('aliases')
      .select('version')
      .where('kind', '=', 'service')
      .where('name', '=', name)
      .executeTakeFirst()
    const held = await transaction
      .selectFrom('serving_aliases')
      .select('version')
      .where('name', '=', name)
      .executeTakeFirst()
    if (registered?.version !== version || held?.version === version) return false
    await transaction
      .insertInto('serving_aliases')
      .values({ name, version })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ version }))
      .execute()
    await transaction.insertInto('serving_history').values({ name, version, moved_at: now }).execute()
    return true
  })
}

/** Which versions a service's name has read, oldest first. */
export async function readAliasHistory({ db }: MetadataStore, name: string): Promise<AliasMove[]> {
  const rows = await db
    .selectFrom('serving_history')
    .select(['name', 'version', 'moved_at'])
    .where('name', '=', name)
    .orderBy('number')
    .execute()
  return rows.map(({ moved_at, ...row }) => ({ ...row, movedAt: Number(moved_at) }))
}
