import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { openProject } from '../../cli/open-project.ts'
import type { Project } from '../../cli/open-project.ts'
import { bucketOf, entityKeyBytes, partitionOf } from '../../features/values/entity-key.ts'
import { columnValue } from '../../features/values/column.ts'
import type { FieldPlan } from '../../features/plan/field-type.ts'
import { archiveFileName, archiveFooterText } from '../../stores/tables/archive-files.ts'
import { sqlName, sqlStruct, sqlText } from '../../stores/tables/tables.ts'

/** Where benchmarks keep inputs, projects and peers between runs. */
export function cacheFolder(...names: readonly string[]): string {
  const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tidemark-bench', ...names)
  mkdirSync(folder, { recursive: true })
  return folder
}

/** Part of what these benchmarks keep: raise it when inputs, the archive's layout or stored plans change, and they are made anew. */
const INPUTS_VERSION = 3

/** The folder of one benchmark's inputs, those of other versions deleted. */
export function versionedFolder(name: string, smoke: boolean): string {
  const version = `v${INPUTS_VERSION}`
  const folder = cacheFolder(name)
  for (const other of readdirSync(folder))
    if (other !== version) rmSync(join(folder, other), { recursive: true, force: true })
  return cacheFolder(name, version, smoke ? 'smoke' : 'full')
}

export interface ArchiveInput {
  readonly folder: string
  /** Text of `features/definitions.ts`; one source and one entity. */
  readonly definitions: string
  /**
   * SQL of slice `i` of the events: the source's columns in schema order, then `__event_time` and `__arrival` (epoch ms, BIGINT), in the order in which
   * they had been appended.
   */
  readonly slices: readonly string[]
  /** SQL of the distinct entity keys. */
  readonly keys: string
  readonly onSlice?: (slice: number) => void
}

/** Events of a block in the archive that a benchmark makes. */
const BLOCK_EVENTS = 8192

/**
 * A project with applied definitions and an archive in the layout that the archive role writes (a Parquet file per partition and slice, in position
 * order), without sending the events through the log. Made once, and again when the definitions come out as other versions or a store cannot be opened.
 */
export async function openArchiveProject(input: ArchiveInput): Promise<Project> {
  const { folder } = input
  const done = join(folder, 'archived')
  if (existsSync(done)) {
    const made = await openUnchanged(input).catch(() => null)
    if (made !== null) return made
  }
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(join(folder, 'features'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(join(folder, 'features', 'definitions.ts'), input.definitions)
  const project = await openProject(folder)
  await project.registry.apply(folder, 0)
  const [keyedLog] = await project.registry.keyedLogs()
  const topic = await project.log.createTopic(`keyed.${keyedLog.name}`, { partitions: project.partitions })
  await createKeyPartitions(project, keyedLog.entity.columns, input.keys)
  const using = keyedLog.entity.columns.map(({ name }) => sqlName(name)).join(', ')
  const columns = keyedLog.source.fields.map(({ name }) => sqlName(name)).join(', ')
  const next = Array.from({ length: project.partitions }, () => 0)
  for (const [number, slice] of input.slices.entries()) {
    await project.tables.execute(
      `CREATE OR REPLACE TABLE slice AS SELECT * FROM (SELECT *, row_number() OVER () AS "__appended" FROM (${slice})) JOIN key_partitions USING (${using})`,
    )
    for (let partition = 0; partition < project.partitions; partition++) {
      const counted = await project.tables.queryAll(
        `SELECT count(*)::DOUBLE FROM slice WHERE partition = ${partition}`,
        [NUMBER],
      )
      const events = Number(columnValue(counted.columns[0], 0))
      if (events === 0) continue
      const first = next[partition]
      next[partition] += Math.ceil(events / BLOCK_EVENTS)
      const place = { keyedLog: keyedLog.name, incarnation: topic.incarnation, partition }
      const path = join(folder, '.tidemark', 'objects', archiveFileName(place, 0, first))
      mkdirSync(dirname(path), { recursive: true })
      const footer = archiveFooterText({ lastOffset: next[partition] - 1, events, origins: '' })
      const numbered = `SELECT *, (row_number() OVER (ORDER BY "__appended") - 1) AS n FROM slice WHERE partition = ${partition}`
      await project.tables
        .execute(`COPY (SELECT ${columns}, "__event_time", "__arrival", ${first} + n // ${BLOCK_EVENTS} AS "__offset", (n % ${BLOCK_EVENTS})::INTEGER AS "__index"
        FROM (${numbered}) ORDER BY n) TO ${sqlText(path)} (FORMAT parquet, COMPRESSION zstd, KV_METADATA ${sqlStruct(footer)})`)
    }
    input.onSlice?.(number)
  }
  await project.tables.dropTable('slice')
  for (let partition = 0; partition < project.partitions; partition++)
    await project.metadata.writeProgress('archive', `${keyedLog.name}/${partition}`, {
      nextOffset: next[partition],
      nextFileOffset: next[partition],
      completeUntil: Date.UTC(2100, 0),
      origins: '',
    })
  writeFileSync(done, '')
  return project
}

/** Null where the definitions are no longer those that the archive was made for. */
async function openUnchanged({ folder, definitions }: ArchiveInput): Promise<Project | null> {
  writeFileSync(join(folder, 'features', 'definitions.ts'), definitions)
  const project = await openProject(folder)
  const { changes } = await project.registry.plan(folder)
  if (changes.length === 0) return project
  await project.close()
  return null
}

const NUMBER: FieldPlan = { name: 'n', type: { kind: 'float64' }, nullable: false, nonFinite: 'reject' }

/** Table `key_partitions`: the entity's columns and the keyed partition of each key. */
async function createKeyPartitions(project: Project, columns: readonly FieldPlan[], keys: string): Promise<void> {
  const { tables, buckets, partitions } = project
  const found = await tables.queryAll(keys, columns)
  const partition = Float64Array.from({ length: found.rows }, (_, row) =>
    partitionOf(bucketOf(entityKeyBytes(found.columns.map((column) => columnValue(column, row))), buckets), partitions),
  )
  const fields = [...columns, { ...NUMBER, name: 'partition', type: { kind: 'int32' } as const }]
  await tables.createTable('key_partitions', fields)
  await tables.appendColumns('key_partitions', fields, {
    rows: found.rows,
    columns: [...found.columns, { storage: 'number', type: { kind: 'int32' }, values: partition, nulls: null }],
  })
}
