import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import { resultValue, STATUS_NAMES } from '../features/aggregation/result-column.ts'
import type { ResultColumn, StatusName } from '../features/aggregation/result-column.ts'
import { deriveRow } from '../features/kernel/derive.ts'
import type { CompiledService } from '../features/kernel/compiled-view.ts'
import { createColumnBuilder } from '../features/kernel/function-results.ts'
import type { FieldPlan, FieldType, Value, ValueType } from '../features/plan/field-type.ts'
import type { Column, NumberColumn } from '../features/values/column.ts'
import { columnValue } from '../features/values/column.ts'
import { entityKeysOfBatch } from '../features/values/entity-key.ts'
import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import type { ArchiveProgress } from '../stores/tables/archive-layout.ts'
import { fileSource } from '../stores/tables/file-conversion.ts'
import { sqlText } from '../stores/tables/tables.ts'
import { failOffline } from './errors.ts'
import { evaluateRows } from './evaluate-rows.ts'
import type { OfflineContext } from './evaluate-rows.ts'
import { describeColumn } from './column-statistics.ts'
import type { ColumnStatistics } from './column-statistics.ts'

export type AsOf = 'arrival' | 'served' | 'event-time'

export interface ExportOptions {
  readonly service: string
  readonly spine: string
  readonly out: string
  /** Default `timestamp`. */
  readonly timestamp?: string
  readonly asOf?: AsOf
}

export interface Manifest {
  readonly service: { readonly name: string; readonly version: string }
  readonly views: Readonly<Record<string, string>>
  readonly asOf: AsOf
  /** Archived end position by `<keyed log>/<partition>`. */
  readonly positions: Readonly<Record<string, number>>
  readonly spineSha256: string
  readonly outputSha256: string
  readonly rows: number
  readonly columns: readonly ColumnStatistics[]
}

/** Point-in-time training set: the spine's columns in their order, then features and derived fields; manifest beside it. Run twice: the same bytes. */
export async function exportTrainingSet(context: OfflineContext, options: ExportOptions): Promise<Manifest> {
  const { asOf = 'arrival', timestamp = 'timestamp' } = options
  if (asOf === 'served')
    throw failOffline(
      'TM_AS_OF_UNSUPPORTED',
      '--as-of served is not available in this version: use arrival or event-time',
    )
  const format = formatOf(options.out)
  const service = await context.registry.registeredService(options.service)
  const spine = await readSpine(context, service, options.spine, timestamp)
  const positions = await pinPositions(context, service, spine.t, asOf)
  const features = await evaluateService(context, service, spine, asOf)
  const columns = deriveColumns(service, features, spine)
  const part = `${options.out}.part`
  try {
    await write(context, options.spine, part, format, columns)
    await rename(part, options.out)
  } finally {
    await rm(part, { force: true })
  }
  const manifest: Manifest = {
    service: { name: service.plan.name, version: service.version },
    views: Object.fromEntries(service.plan.features.map(({ view, viewVersion }) => [view, viewVersion])),
    asOf,
    positions,
    spineSha256: await sha256(options.spine),
    outputSha256: await sha256(options.out),
    rows: spine.rows,
    columns: columns.map(describeColumn),
  }
  await writeFile(`${options.out}.manifest.json`, `${JSON.stringify(manifest, null, 2)}\n`)
  return manifest
}

/** A column of the output: name, type and values with statuses. */
export interface OutputColumn {
  readonly name: string
  readonly type: ValueType
  readonly values: Value[]
  readonly statuses: StatusName[]
}

interface Spine {
  readonly rows: number
  readonly t: Float64Array
  readonly fields: readonly FieldPlan[]
  readonly columns: readonly Column[]
  readonly timeNulls: Uint8Array | null
}

function formatOf(out: string): string {
  if (out.endsWith('.parquet')) return 'FORMAT parquet, COMPRESSION zstd'
  if (out.endsWith('.csv')) return 'FORMAT csv, HEADER true'
  throw failOffline(
    'TM_EXPORT_FORMAT',
    `${out}: the format follows the extension, and this version writes .parquet and .csv`,
  )
}

async function readSpine(
  context: OfflineContext,
  service: CompiledService,
  path: string,
  timestamp: string,
): Promise<Spine> {
  const fields = new Map<string, FieldPlan>([
    [timestamp, { name: timestamp, type: { kind: 'timestamp' }, nullable: true, nonFinite: 'reject' }],
  ])
  const emptyStrings = new Set<string>()
  for (const version of new Set(service.plan.features.map(({ viewVersion }) => viewVersion))) {
    for (const column of (await context.registry.view(version)).plan.entity.columns) {
      fields.set(column.name, { ...column, nullable: true })
      if (column.type.kind === 'string') emptyStrings.add(column.name)
    }
  }
  for (const field of service.plan.request) fields.set(field.name, { ...field, nullable: true })
  const list = [...fields.values()]
  const batches: { rows: number; columns: readonly Column[] }[] = []
  try {
    for await (const batch of context.tables.readColumns(path, list, { emptyStrings })) batches.push(batch)
  } catch (error) {
    if (isTidemarkError(error) && error.code.startsWith('TM_COLUMN'))
      throw failOffline('TM_SPINE_COLUMN', error.message, { details: error.details, cause: error })
    throw error
  }
  const rows = batches.reduce((sum, batch) => sum + batch.rows, 0)
  const columns = list.map((field, f) => {
    const builder = createColumnBuilder(field.type, rows)
    let at = 0
    for (const batch of batches)
      for (let i = 0; i < batch.rows; i++) builder.set(at++, columnValue(batch.columns[f], i))
    return builder.finish()
  })
  const time = columns[0] as NumberColumn
  const missing = time.nulls?.indexOf(1) ?? -1
  if (missing >= 0)
    throw failOffline('TM_SPINE_COLUMN', `row ${missing + 1} of ${path} has no ${timestamp}: every row needs a time`, {
      details: { row: missing + 1, column: timestamp },
    })
  return { rows, t: time.values, fields: list, columns, timeNulls: time.nulls }
}

/** End positions by keyed partition. Refuses rows later than what is known to be archived completely. */
async function pinPositions(
  context: OfflineContext,
  service: CompiledService,
  t: Float64Array,
  asOf: AsOf,
): Promise<Record<string, number>> {
  const progress = await context.metadata.listProgress<ArchiveProgress>('archive')
  const positions: Record<string, number> = {}
  let completeUntil = Infinity
  for (const version of new Set(service.plan.features.map(({ viewVersion }) => viewVersion))) {
    const { source, entity } = (await context.registry.view(version)).plan
    for (let partition = 0; partition < context.partitions; partition++) {
      const key = `${source.name}.${entity.name}/${partition}`
      const held = progress.get(key)
      positions[key] = held?.nextOffset ?? 0
      completeUntil = Math.min(completeUntil, held?.completeUntil ?? 0)
    }
  }
  const late = asOf === 'arrival' ? t.findIndex((time) => time > completeUntil) : -1
  if (late >= 0) {
    throw failOffline(
      'TM_SPINE_TOO_LATE',
      `spine row ${late + 1} is at ${new Date(t[late]).toISOString()}, the archive is complete until ${new Date(completeUntil).toISOString()}: wait, or leave later rows out`,
      { details: { row: late + 1, completeUntil } },
    )
  }
  return positions
}

async function evaluateService(
  context: OfflineContext,
  service: CompiledService,
  spine: Spine,
  asOf: AsOf,
): Promise<ResultColumn[]> {
  const byView = new Map<string, ResultColumn[]>()
  for (const version of new Set(service.plan.features.map(({ viewVersion }) => viewVersion))) {
    const view = await context.registry.view(version)
    const columns = view.plan.entity.columns.map(
      ({ name }) => spine.columns[spine.fields.findIndex((field) => field.name === name)],
    )
    const keys = entityKeysOfBatch(view.plan.entity, columns, spine.rows)
    byView.set(
      version,
      await evaluateRows(context, view, asOf === 'event-time' ? 'event-time' : 'arrival', {
        ...keys,
        bound: spine.t,
        t: spine.t,
      }),
    )
  }
  const results: ResultColumn[] = []
  for (const { viewVersion, feature } of service.plan.features) {
    const view = await context.registry.view(viewVersion)
    const column = byView.get(viewVersion)?.[view.plan.features.findIndex(({ name }) => name === feature)]
    if (column !== undefined) results.push(column)
  }
  return results
}

/** Features and derived fields, row by row where there is something to derive. */
function deriveColumns(service: CompiledService, features: readonly ResultColumn[], spine: Spine): OutputColumn[] {
  const { plan } = service
  const out: OutputColumn[] = [
    ...plan.features.map(({ fullName, type }) => ({ name: fullName, type, values: [], statuses: [] })),
    ...plan.derived.map(({ name, type }) => ({ name, type, values: [], statuses: [] })),
  ]
  const request = plan.request.map(({ name }) => spine.columns[spine.fields.findIndex((field) => field.name === name)])
  for (let row = 0; row < spine.rows; row++) {
    const values = features.map((column) => resultValue(column, row))
    const statuses: StatusName[] = features.map((column) => STATUS_NAMES[column.statuses[row]])
    for (const column of request) {
      values.push(columnValue(column, row))
      statuses.push('PRESENT')
    }
    deriveRow(service, values, statuses)
    out.forEach((column, i) => {
      const at = i < features.length ? i : i + request.length
      column.values.push(values[at])
      column.statuses.push(statuses[at])
    })
  }
  return out
}

/** The storage of a value type in files; lists and maps are not computed by this version. */
function fileType(type: ValueType): FieldType {
  if (type.kind === 'count') return { kind: 'int64' }
  if (type.kind === 'list' || type.kind === 'map')
    throw failOffline('TM_EXPORT_FORMAT', `a column of type ${type.kind} cannot be written by this version`)
  return type
}

async function write(
  context: OfflineContext,
  spine: string,
  out: string,
  format: string,
  columns: readonly OutputColumn[],
): Promise<void> {
  const fields = columns.map(({ name, type }) => ({
    name,
    type: fileType(type),
    nullable: true,
    nonFinite: 'reject' as const,
  }))
  const rows = columns[0]?.values.length ?? 0
  const built = columns.map(({ type, values }, c) => {
    const builder = createColumnBuilder(fields[c].type, rows)
    values.forEach((value, row) =>
      builder.set(row, type.kind === 'count' && value !== null ? BigInt(value as number) : value),
    )
    return builder.finish()
  })
  await context.tables.createTable('export_features', fields)
  await context.tables.appendColumns('export_features', fields, { rows, columns: built })
  await context.tables.execute(
    `COPY (SELECT * FROM ${fileSource(spine)} POSITIONAL JOIN export_features) TO ${sqlText(out)} (${format})`,
  )
  await context.tables.dropTable('export_features')
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
