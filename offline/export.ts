import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import type { CompiledService, CompiledView } from '../features/kernel/compiled-view.ts'
import type { Column } from '../features/values/column.ts'
import { gatherColumn } from '../features/values/gather.ts'
import { keyedLogOf } from '../registry/keyed-logs.ts'
import { spliceParquet } from '../stores/tables/parquet/splice.ts'
import { shapeOf } from '../stores/tables/parquet/value-leaves.ts'
import { sqlName } from '../stores/tables/tables.ts'
import { describeColumn, describeWindow, emptySummary, mergeSummary } from './column-statistics.ts'
import type { ColumnStatistics, ColumnSummary } from './column-statistics.ts'
import { addedColumns } from './encode-row-group.ts'
import type { EncodedRowGroup, ResultSection } from './encode-row-group.ts'
import { failOffline } from './errors.ts'
import type { OfflineContext, Visibility } from './offline-context.ts'
import { evaluateView, rangeOf } from './evaluate-view.ts'
import type { UnitResult, ViewRequest } from './evaluate-view.ts'
import type { ExportProgram, StoredVersion } from './export-tasks.ts'
import { convertOutput, outputFormat } from './output-format.ts'
import type { AsOf, Manifest, PinnedPositions } from './manifest.ts'
import { pinPositions, refuseLateRows } from './pin-positions.ts'
import { openServedClock } from './served-clock.ts'
import type { ServedClock } from './served-clock.ts'
import { servedRows } from './served-rows.ts'
import { asSpineError, openSpine, readRequest } from './spine.ts'
import type { Spine } from './spine.ts'
import { openTaskPool } from './task-pool.ts'
import type { TaskPool } from './task-pool.ts'

export type { AsOf, Manifest, PinnedPositions } from './manifest.ts'

/** Rows up to which worker threads cost more than they bring. */
const CALLING_THREAD_ROWS_MAX = 20_000

export interface ExportProgress {
  readonly phase: 'events' | 'rows' | 'write'
  /** Rows so far; events have no known total. */
  readonly done: number
  readonly total: number | null
}

export interface ExportOptions {
  readonly service: string
  readonly spine: string
  readonly out: string
  /** Default `timestamp`. */
  readonly timestamp?: string
  readonly asOf?: AsOf
  /** See only what an earlier export saw: its manifest. */
  readonly pinned?: PinnedPositions
  readonly onProgress?: (progress: ExportProgress) => void
  /** Stops the export and leaves nothing behind. */
  readonly signal?: AbortSignal
  /** Worker threads; 0: none. Default: one per core, none for a small spine. */
  readonly threads?: number
}

/** A service with the views that it reads, each once. */
interface ExportPlan {
  readonly service: CompiledService
  readonly views: readonly CompiledView[]
  readonly program: ExportProgram
  readonly git: Manifest['service']
}

/**
 * Point-in-time training set: the spine's columns in their order, then features and derived fields, rows in the spine's order; a manifest beside it. Run
 * twice from the same positions: the same bytes. TM_SPINE_COLUMN, TM_SPINE_TOO_LATE, TM_EXPORT_FORMAT, TM_POSITIONS_UNKNOWN.
 */
export async function exportTrainingSet(context: OfflineContext, options: ExportOptions): Promise<Manifest> {
  const { asOf = 'arrival', timestamp = 'timestamp', out, signal } = options
  const format = outputFormat(out)
  const plan = await loadPlan(context, options.service)
  const part = `${out}.part`
  const converted = `${out}.converted.part`
  const spine = await openSpine(context.tables, { ...plan, path: options.spine, timestamp, copy: `${out}.spine.part` })
  let pool: TaskPool | null = null
  try {
    pool = openTaskPool(
      plan.program,
      options.threads ?? (spine.rows <= CALLING_THREAD_ROWS_MAX ? 0 : availableParallelism()),
    )
    const spineSha256 = sha256(options.spine)
    const t = await readTimes(context, spine, signal)
    const archived = await pinPositions(context, plan.views, options.pinned)
    const clock = asOf === 'served' ? await openServedClock(context, plan.views, archived, rangeOf(t)) : null
    const pinned = clock === null ? archived : { ...archived, completeUntil: clock.completeUntil }
    refuseLateRows(t, pinned, asOf)
    const request = await readRequest(context.tables, spine, plan.service)
    const results = await evaluateViews(context, pool, plan, { spine, t, asOf, clock, pinned, options })
    const written = await writeResult(pool, plan, { spine, request, results, out: part, options })
    if (format !== 'parquet')
      await convertOutput(context.tables, {
        format,
        from: part,
        to: converted,
        columns: addedColumns(plan.service.plan),
      })
    const outputSha256 = format === 'parquet' ? written.sha256 : await sha256(converted)
    const columns = addedColumns(plan.service.plan).map(({ name, type }, i) => ({
      ...describeColumn(name, type, written.summaries[i]),
      ...windowOf(plan, i),
    }))
    const manifest: Manifest = {
      service: plan.git,
      views: Object.fromEntries(plan.service.plan.features.map(({ view, viewVersion }) => [view, viewVersion])),
      asOf,
      timestamp,
      ...pinned,
      spineSha256: await spineSha256,
      outputSha256,
      rows: spine.rows,
      columns,
      nullShareBroken: brokenNullShares(plan, columns, spine.rows),
    }
    signal?.throwIfAborted()
    await rename(format === 'parquet' ? part : converted, out)
    await writeFile(`${out}.manifest.json`, `${JSON.stringify(manifest, null, 2)}\n`)
    return manifest
  } finally {
    await pool?.close()
    await spine.close()
    for (const path of [part, converted]) await rm(path, { force: true })
  }
}

async function loadPlan({ registry }: OfflineContext, name: string): Promise<ExportPlan> {
  const service = await registry.registeredService(name)
  const versions = [...new Set(service.plan.features.map(({ viewVersion }) => viewVersion))]
  const views = await Promise.all(versions.map((version) => registry.view(version)))
  const stored = async <P>(kind: 'view' | 'service', version: string, plan: P): Promise<StoredVersion<P>> => ({
    version,
    plan,
    code: (await registry.storedVersion(kind, version)).code,
  })
  const { git } = await registry.storedVersion('service', service.version)
  return {
    service,
    views,
    program: {
      service: await stored('service', service.version, service.plan),
      views: await Promise.all(views.map((view) => stored('view', view.version, view.plan))),
    },
    git: { name: service.plan.name, version: service.version, ...git },
  }
}

/** Every row's time, epoch ms. */
async function readTimes(
  { tables }: OfflineContext,
  { source, timestamp, path, rows }: Spine,
  signal?: AbortSignal,
): Promise<Float64Array> {
  const t = new Float64Array(new SharedArrayBuffer(8 * rows))
  let missing = Infinity
  try {
    await tables.scan(
      `SELECT "__row"::INTEGER, ${sqlName(timestamp)}::DOUBLE FROM (${source.sql})`,
      (chunk) => {
        const numbers = chunk.items(0) as Int32Array
        const times = chunk.items(1) as Float64Array
        const validity = chunk.validity(1)
        for (let i = 0; i < chunk.rows; i++) {
          if (validity !== null && ((validity[i >> 6] >> BigInt(i & 63)) & 1n) === 0n)
            missing = Math.min(missing, numbers[i])
          t[numbers[i]] = times[i]
        }
      },
      signal,
    )
  } catch (error) {
    signal?.throwIfAborted()
    throw await asSpineError(source.explain(error).then((reason) => Promise.reject(reason)))
  }
  if (missing === Infinity) return t
  throw failOffline('TM_SPINE_COLUMN', `row ${missing + 1} of ${path} has no ${timestamp}: every row needs a time`, {
    details: { row: missing + 1, column: timestamp },
  })
}

interface Evaluation {
  readonly spine: Spine
  readonly t: Float64Array
  readonly asOf: AsOf
  /** By the served clock. */
  readonly clock: ServedClock | null
  readonly pinned: PinnedPositions
  readonly options: ExportOptions
}

async function evaluateViews(
  context: OfflineContext,
  pool: TaskPool,
  { views }: ExportPlan,
  { spine, t, asOf, clock, pinned, options }: Evaluation,
): Promise<UnitResult[][]> {
  const { onProgress, signal } = options
  const results: UnitResult[][] = []
  let events = 0
  let rows = 0
  const requests = views.map((view, number): ViewRequest => {
    const keyedLog = keyedLogOf(view)
    return {
      spine,
      t,
      number,
      view,
      visibility: VISIBILITY[asOf],
      endOffset: Array.from(
        { length: context.partitions },
        (_, partition) => pinned.positions[`${keyedLog}/${partition}`],
      ),
      onEvents: (count) => onProgress?.({ phase: 'events', done: (events += count), total: null }),
      onRows: (count) => onProgress?.({ phase: 'rows', done: (rows += count), total: spine.rows * views.length }),
      signal,
    }
  })
  const served = clock === null ? null : await servedRows(context, pool, clock, requests)
  for (const [number, request] of requests.entries()) {
    const seen = served === null ? request : { ...request, t: served.t, bound: served.bounds[number] }
    results.push(await evaluateView(context, pool, seen))
    signal?.throwIfAborted()
  }
  return results
}

const VISIBILITY: Readonly<Record<AsOf, Visibility>> = {
  arrival: 'arrival',
  'event-time': 'event-time',
  served: 'offset',
}

interface Written {
  readonly sha256: string
  readonly summaries: readonly ColumnSummary[]
}

async function writeResult(
  pool: TaskPool,
  { service, views }: ExportPlan,
  {
    spine,
    request,
    results,
    out,
    options,
  }: {
    spine: Spine
    request: readonly Column[]
    results: readonly UnitResult[][]
    out: string
    options: ExportOptions
  },
): Promise<Written> {
  const added = addedColumns(service.plan)
  const summaries = added.map(emptySummary)
  const features = service.plan.features.map(({ viewVersion, feature }) => {
    const view = views.findIndex(({ version }) => version === viewVersion)
    return { view, feature: views[view].plan.features.findIndex(({ name }) => name === feature) }
  })
  const { rowGroups } = spine.parquet
  const firstRows = rowGroups.map((_, g) => rowGroups.slice(0, g).reduce((sum, rows) => sum + rows, 0))
  const encode = (g: number): Promise<EncodedRowGroup> => {
    const range = { firstRow: firstRows[g], rows: rowGroups[g] }
    return pool.run({
      kind: 'encode',
      ...range,
      sections: sectionsOf(results, range),
      features,
      request: service.plan.derived.length === 0 ? [] : sliceColumns(request, range),
    }) as Promise<EncodedRowGroup>
  }
  // A few row groups ahead of the writer, so that threads are busy and memory is bounded.
  const ahead: Promise<EncodedRowGroup>[] = []
  let started = 0
  const sha256 = await spliceParquet({
    spine: spine.parquet,
    out,
    schema: added.flatMap(({ name, type }) => shapeOf(name, type).schema),
    columns: async (g) => {
      options.signal?.throwIfAborted()
      for (; started < rowGroups.length && started <= g + pool.threads; started++) {
        const encoded = encode(started)
        encoded.catch(() => {})
        ahead.push(encoded)
      }
      const encoded = await ahead.shift()!
      encoded.summaries.forEach((summary, i) => mergeSummary(summaries[i], summary))
      options.onProgress?.({ phase: 'write', done: firstRows[g] + rowGroups[g], total: spine.rows })
      return encoded
    },
  })
  return { sha256, summaries }
}

function sectionsOf(
  results: readonly UnitResult[][],
  { firstRow, rows }: { firstRow: number; rows: number },
): ResultSection[] {
  return results.flatMap((units, view) =>
    units.flatMap((unit) => {
      const from = firstAtLeast(unit.rows, firstRow)
      const to = firstAtLeast(unit.rows, firstRow + rows)
      if (from === to) return []
      const columns = unit.columns.map((column) =>
        column.storage === 'objects' ? { ...column, objects: column.objects.slice(from, to) } : column,
      )
      return [{ view, rows: unit.rows.subarray(from, to), from, columns }]
    }),
  )
}

function firstAtLeast(ascending: Int32Array, row: number): number {
  let low = 0
  let high = ascending.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ascending[middle] < row) low = middle + 1
    else high = middle
  }
  return low
}

function sliceColumns(columns: readonly Column[], { firstRow, rows }: { firstRow: number; rows: number }): Column[] {
  const numbers = Int32Array.from({ length: rows }, (_, i) => firstRow + i)
  return columns.map((column) => gatherColumn(column, numbers))
}

/** Of a vector's column; nothing where that is no feature. */
function windowOf({ service, views }: ExportPlan, column: number): Pick<ColumnStatistics, 'window'> {
  const { viewVersion, feature } = service.plan.features[column] ?? {}
  const plan = views.find(({ version }) => version === viewVersion)?.plan
  const found = plan?.features.find(({ name }) => name === feature)
  return found === undefined ? {} : { window: describeWindow(found) }
}

function brokenNullShares(
  { service, views }: ExportPlan,
  columns: Manifest['columns'],
  rows: number,
): Manifest['nullShareBroken'] {
  return service.plan.features.flatMap(({ viewVersion, feature, fullName }, i) => {
    const allowed =
      views.find(({ version }) => version === viewVersion)?.plan.features.find(({ name }) => name === feature)
        ?.nullShareMax ?? null
    const nullShare = rows === 0 ? 0 : columns[i].nulls / rows
    return allowed === null || nullShare <= allowed ? [] : [{ name: fullName, nullShare, allowed }]
  })
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
