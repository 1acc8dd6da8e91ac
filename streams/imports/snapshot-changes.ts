import { rm } from 'node:fs/promises'
import type { FieldPlan } from '../../features/plan/field-type.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import type { FileMark } from '../../stores/table-files/table-files.ts'
import { sqlName, sqlStruct, sqlText } from '../../stores/tables/tables.ts'
import type { Tables } from '../../stores/tables/tables.ts'
import type { StreamContext } from '../stream-context.ts'
import { fileReading } from './import-files.ts'

/** Of a table whose files are snapshots: what the next one is compared with. */
export interface SnapshotProgress {
  /** The object with what the last snapshot held; null: nothing was taken in yet. */
  readonly previous: { readonly object: string; readonly fields: readonly FieldPlan[] } | null
  /** Snapshots taken in so far. */
  readonly taken: number
  /** Compared, and being taken in. */
  readonly pending: PendingSnapshot | null
}

export interface PendingSnapshot {
  readonly file: string
  readonly mark: FileMark
  /** The object with the rows to take in, as Parquet. */
  readonly changes: string
  /** The object that is compared with next time. */
  readonly object: string
  readonly fields: readonly FieldPlan[]
  /** Rows that the snapshot before had and this one has not. */
  readonly vanished: number
}

/** A row is known by the SHA-256 of its values, and how often it stands there. The rows themselves are not kept: nothing of a key that is forgotten stays. No field has such a name. */
const HASH = '"__hash"'
const COUNT = '"__count"'
/** The hash of a row by the fields of the snapshot before. */
const BEFORE = '"__before"'

/**
 * Compares a snapshot of a table with the one before it, as multisets of rows: what is new or changed becomes a file of its own, in the order of the snapshot's rows. Both are objects when
 * this returns, so that whoever is ended in the middle of the import goes on with the same rows, whatever the file holds by then. Rows are compared by the
 * fields that the schema had then, so that a new field makes no row new; where one has another type now, all rows are new. TM_COLUMN_MISSING, TM_COLUMN_TYPE, TM_FILE_UNREADABLE.
 */
export async function compareSnapshot(
  context: StreamContext,
  source: SourcePlan,
  file: { readonly name: string; readonly path: string; readonly mark: FileMark },
  { previous, taken }: SnapshotProgress,
): Promise<PendingSnapshot> {
  const { objects, tables } = context
  const [rows, hashes, changes] = await Promise.all(
    ['.rows.parquet', '.hashes.parquet', '.changes.parquet'].map((suffix) => objects.temporaryPath(suffix)),
  )
  try {
    const { fields, read } = await fileReading(context, source)
    const before = previous === null ? null : await beforeOf(context, previous, fields)
    const gone = before?.fields.filter((field) => fields.every(({ name }) => name !== field.name)) ?? []
    const typed = await tables.rowSource(file.path, [...fields, ...gone], read)
    try {
      const hashed = `${hashOf(fields)} AS ${HASH}, ${before === null ? 'NULL' : hashOf(before.fields)} AS ${BEFORE}`
      await tables.execute(
        `COPY (SELECT *, ${hashed} FROM (${typed.sql}) ORDER BY "__row") TO ${sqlText(rows)} (FORMAT parquet)`,
      )
    } catch (error) {
      throw await typed.explain(error)
    }
    await tables.execute(`COPY (${countOf(rows, HASH)}) TO ${sqlText(hashes)} (FORMAT parquet)`)
    // With its number: two snapshots may well change in the same way, and the second change is one too.
    const number = sqlStruct({ 'tidemark.snapshot': `${source.name}/${taken}` })
    const selected = before === null ? `SELECT * FROM read_parquet(${sqlText(rows)})` : changesOf(rows, before.path)
    const columns = fields.map(fileColumn).join(', ')
    await tables.execute(
      `COPY (SELECT ${columns} FROM (${selected}) ORDER BY "__row") TO ${sqlText(changes)} (FORMAT parquet, KV_METADATA ${number})`,
    )
    const vanished = before === null ? 0 : await countVanished(tables, rows, before.path)
    const name = `snapshots/${source.name}/${taken}-${crypto.randomUUID()}`
    await objects.createFromFile(`${name}.hashes.parquet`, hashes)
    await objects.createFromFile(`${name}.changes.parquet`, changes)
    const { mark } = file
    return {
      file: file.name,
      mark,
      changes: `${name}.changes.parquet`,
      object: `${name}.hashes.parquet`,
      fields,
      vanished,
    }
  } finally {
    for (const path of [rows, hashes, changes]) await rm(path, { force: true })
  }
}

/** Deletes the objects of a table's comparisons that nothing needs any more. */
export async function dropComparisons(
  { objects }: StreamContext,
  table: string,
  { previous, pending }: SnapshotProgress,
): Promise<void> {
  const needed = new Set([previous?.object, pending?.object, pending?.changes])
  for (const { name } of await objects.list(`snapshots/${table}/`)) if (!needed.has(name)) await objects.delete(name)
}

/** Numbers as a file of the type holds them: as they are read, all but int64 are doubles. */
function fileColumn({ name, type }: FieldPlan): string {
  const column = sqlName(name)
  if (type.kind === 'timestamp') return `CAST(${column} AS BIGINT) AS ${column}`
  if (type.kind === 'int32') return `CAST(${column} AS INTEGER) AS ${column}`
  return type.kind === 'float32' ? `CAST(${column} AS FLOAT) AS ${column}` : column
}

interface Before {
  /** Of its hashes. */
  readonly path: string
  /** That they are made of. */
  readonly fields: readonly FieldPlan[]
}

/** What to compare with; null: nothing compares. */
async function beforeOf(
  { objects }: StreamContext,
  { object, fields: before }: NonNullable<SnapshotProgress['previous']>,
  fields: readonly FieldPlan[],
): Promise<Before | null> {
  const now = new Map(fields.map((field) => [field.name, JSON.stringify(field.type)]))
  if (before.some(({ name, type }) => (now.get(name) ?? JSON.stringify(type)) !== JSON.stringify(type))) return null
  return { path: await objects.localPath(object), fields: before }
}

/** A row's values, told apart whatever they are. */
function hashOf(fields: readonly FieldPlan[]): string {
  const struct = fields.map(({ name }) => `${sqlName(name)} := ${sqlName(name)}`).join(', ')
  return `sha256(to_json(struct_pack(${struct}))::VARCHAR)`
}

function countOf(rows: string, hash: string): string {
  return `SELECT ${hash} AS ${HASH}, count(*) AS ${COUNT} FROM read_parquet(${sqlText(rows)}) GROUP BY 1 ORDER BY 1`
}

/** Every copy of a row beyond those that the snapshot before had. */
function changesOf(rows: string, before: string): string {
  return `SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY ${BEFORE} ORDER BY "__row") AS "__copy" FROM read_parquet(${sqlText(rows)})) r
    LEFT JOIN read_parquet(${sqlText(before)}) b ON b.${HASH} = r.${BEFORE} WHERE b.${COUNT} IS NULL OR "__copy" > b.${COUNT}`
}

async function countVanished(tables: Tables, rows: string, before: string): Promise<number> {
  const count: FieldPlan = { name: 'vanished', type: { kind: 'float64' }, nullable: false, nonFinite: 'reject' }
  const sql = `SELECT coalesce(sum(greatest(b.${COUNT} - coalesce(n.${COUNT}, 0), 0)), 0)::DOUBLE
    FROM read_parquet(${sqlText(before)}) b LEFT JOIN (${countOf(rows, BEFORE)}) n USING (${HASH})`
  const { columns } = await tables.queryAll(sql, [count])
  return columns[0].storage === 'number' ? columns[0].values[0] : 0
}
