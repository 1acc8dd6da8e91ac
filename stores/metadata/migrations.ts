import type { ColumnDefinitionBuilder, Expression, Kysely } from 'kysely'

/** What the engines spell differently. */
export interface SchemaDialect {
  /** Compared and sorted by its bytes. */
  readonly text: Expression<unknown>
  /** Of an integer column: the primary key, numbered by the database in order of insertion. */
  readonly numbered: (column: ColumnDefinitionBuilder) => ColumnDefinitionBuilder
}

/** Applied in order, once each; a database that has more of them than this list was written by a newer version. */
export const MIGRATIONS: readonly ((db: Kysely<unknown>, dialect: SchemaDialect) => Promise<void>)[] = [
  async (db, { text }) => {
    await db.schema
      .createTable('progress')
      .addColumn('scope', text, (c) => c.notNull())
      .addColumn('key', text, (c) => c.notNull())
      .addColumn('value', text, (c) => c.notNull())
      .addPrimaryKeyConstraint('progress_key', ['scope', 'key'])
      .execute()
    await db.schema
      .createTable('versions')
      .addColumn('kind', text, (c) => c.notNull())
      .addColumn('name', text, (c) => c.notNull())
      .addColumn('version', text, (c) => c.notNull())
      .addColumn('plan', text, (c) => c.notNull())
      .addColumn('code', text, (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('git_commit', text)
      .addColumn('git_dirty', 'integer', (c) => c.notNull())
      .addPrimaryKeyConstraint('versions_key', ['kind', 'version'])
      .execute()
    for (const [table, column] of [
      ['aliases', 'version'],
      ['catalog', 'data'],
    ]) {
      await db.schema
        .createTable(table)
        .addColumn('kind', text, (c) => c.notNull())
        .addColumn('name', text, (c) => c.notNull())
        .addColumn(column, text, (c) => c.notNull())
        .addPrimaryKeyConstraint(`${table}_key`, ['kind', 'name'])
        .execute()
    }
  },
  async (db, { text, numbered }) => {
    await db.schema
      .createTable('serving_aliases')
      .addColumn('name', text, (c) => c.notNull().primaryKey())
      .addColumn('version', text, (c) => c.notNull())
      .execute()
    await db.schema
      .createTable('serving_history')
      .addColumn('number', 'integer', numbered)
      .addColumn('name', text, (c) => c.notNull())
      .addColumn('version', text, (c) => c.notNull())
      .addColumn('moved_at', 'bigint', (c) => c.notNull())
      .execute()
  },
  async (db, { text }) => {
    await db.schema
      .createTable('leases')
      .addColumn('scope', text, (c) => c.notNull())
      .addColumn('name', text, (c) => c.notNull())
      .addColumn('holder', text, (c) => c.notNull())
      .addColumn('data', text, (c) => c.notNull())
      .addColumn('ends_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('leases_key', ['scope', 'name'])
      .execute()
  },
]
