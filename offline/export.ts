import { rename, rm, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { FunctionFailures } from '../features/kernel/function-failures.ts'
import { keyedLogOf } from '../registry/keyed-logs.ts'
import { checkOutput } from './check-output.ts'
import { describeColumn, describeWindow } from './column-statistics.ts'
import type { ColumnStatistics } from './column-statistics.ts'
import { addedColumns } from './encode-row-group.ts'
import type { OfflineContext, Visibility } from './offline-context.ts'
import { forEachUnit, rangeOf } from './evaluate-view.ts'
import type { ViewRequest } from './evaluate-view.ts'
import { defaultMemoryBytes, exportBudget, refuseLargeSpine, rowBytes } from './export-budget.ts'
import type { ExportBudget } from './export-budget.ts'
import { loadExportPlan } from './export-plan.ts'
import type { ExportPlan } from './export-plan.ts'
import { convertOutput, outputFormat } from './output-format.ts'
import type { AsOf, Manifest, PinnedPositions } from './manifest.ts'
import { pinPositions, refuseLateRows } from './pin-positions.ts'
import { createResultStore } from './result-store.ts'
import type { ResultStore } from './result-store.ts'
import { openServedClock } from './served-clock.ts'
import type { ServedClock } from './served-clock.ts'
import { servedRows } from './served-rows.ts'
import { sha256File } from '../stores/sha256-file.ts'
import { openSpine, readRequest } from './spine.ts'
import { readSpineRows } from './spine-rows.ts'
import type { SpineRows } from './spine-rows.ts'
import { openTaskPool } from './task-pool.ts'
import type { TaskPool } from './task-pool.ts'
import { firstRowsOf, writeResult } from './write-result.ts'

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
  /** What the process should stay within. TM_SPINE_TOO_LARGE where what is held of all spine rows does not fit. Default: half of what it may use. */
  readonly memoryBytes?: number
  /** In place of what follows from `memoryBytes`. */
  readonly budget?: ExportBudget
}

/**
 * Point-in-time training set: the spine's columns in their order, then features and derived fields, rows in the spine's order; a manifest beside it. Run
 * twice from the same positions: the same bytes. TM_SPINE_COLUMN, TM_SPINE_TOO_LATE, TM_SPINE_TOO_LARGE, TM_EXPORT_FORMAT,
 * TM_EXPORT_OUTPUT, TM_POSITIONS_UNKNOWN.
 */
export async function exportTrainingSet(context: OfflineContext, options: ExportOptions): Promise<Manifest> {
  const { asOf = 'arrival', timestamp = 'timestamp', out, signal } = options
  const format = outputFormat(out)
  await checkOutput(out, options.spine)
  const plan = await loadExportPlan(context, options.service)
  const part = `${out}.part`
  const converted = `${out}.converted.part`
  const spill = `${out}.results.part`
  const manifestPart = `${out}.manifest.part`
  const spine = await openSpine(context.tables, {
    ...plan,
    path: options.spine,
    timestamp,
    copy: `${out}.spine.part`,
    format,
  })
  const memoryBytes = options.memoryBytes ?? defaultMemoryBytes()
  const held = rowBytes(plan, asOf)
  let pool: TaskPool | null = null
  try {
    refuseLargeSpine(spine, held, memoryBytes)
    pool = openTaskPool(
      plan.program,
      options.threads ?? (spine.rows <= CALLING_THREAD_ROWS_MAX ? 0 : availableParallelism()),
    )
    // What runs or waits in the pool then fails at once.
    signal?.addEventListener('abort', () => void pool?.close(), { once: true })
    const spineSha256 = sha256File(options.spine)
    // Awaited where the manifest is made; until then a failure of it is nobody's.
    spineSha256.catch(() => {})
    const rows = await readSpineRows(context.tables, pool, { spine, views: plan.views, partitioning: context, signal })
    const archived = await pinPositions(context, plan.views, options.pinned)
    const clock = asOf === 'served' ? await openServedClock(context, plan.views, archived, rangeOf(rows.t)) : null
    const pinned = clock === null ? archived : { ...archived, completeUntil: clock.completeUntil }
    refuseLateRows(rows.t, pinned, asOf)
    const request = await readRequest(context.tables, spine, plan.service)
    const budget = options.budget ?? exportBudget(memoryBytes, held * spine.rows + keyBytes(rows))
    const firstRows = firstRowsOf(spine.parquet.rowGroups)
    const results = createResultStore({ views: plan.views, firstRows, bytesMax: budget.resultBytes, folder: spill })
    const failures = await evaluateViews(context, pool, plan, { rows, asOf, clock, pinned, budget, results, options })
    const written = await writeResult(pool, plan, { ...options, spine, request, results, firstRows, out: part })
    if (format !== 'parquet')
      await convertOutput(context.tables, {
        format,
        from: part,
        to: converted,
        columns: addedColumns(plan.service.plan),
      })
    const outputSha256 = format === 'parquet' ? written.sha256 : await sha256File(converted)
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
      functionFailures: [...failures, ...written.failures.map((failure) => ({ name: plan.git.name, ...failure }))],
      nullShareBroken: brokenNullShares(plan, columns, spine.rows),
    }
    signal?.throwIfAborted()
    // Both are whole before either takes its place.
    await writeFile(manifestPart, `${JSON.stringify(manifest, null, 2)}\n`)
    await rename(format === 'parquet' ? part : converted, out)
    await rename(manifestPart, `${out}.manifest.json`)
    return manifest
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    await pool?.close()
    await spine.close()
    for (const path of [part, converted, spill, manifestPart]) await rm(path, { force: true, recursive: true })
  }
}

function keyBytes({ entities }: SpineRows): number {
  return [...new Set(entities.map(({ keys }) => keys))].reduce((sum, keys) => sum + keys.bytes, 0)
}

interface Evaluation {
  readonly rows: SpineRows
  readonly asOf: AsOf
  /** By the served clock. */
  readonly clock: ServedClock | null
  readonly pinned: PinnedPositions
  readonly budget: ExportBudget
  readonly results: ResultStore
  readonly options: ExportOptions
}

async function evaluateViews(
  context: OfflineContext,
  pool: TaskPool,
  { views }: ExportPlan,
  { rows, asOf, clock, pinned, budget, results, options }: Evaluation,
): Promise<Manifest['functionFailures']> {
  const { onProgress, signal } = options
  const { t } = rows
  let events = 0
  let done = 0
  const requests = views.map((view, number): ViewRequest => {
    const keyedLog = keyedLogOf(view)
    return {
      view,
      visibility: VISIBILITY[asOf],
      entities: rows.entities[number],
      t,
      bound: t,
      endOffset: Array.from(
        { length: context.partitions },
        (_, partition) => pinned.positions[`${keyedLog}/${partition}`],
      ),
      eventBytesMax: budget.eventBytes,
      onEvents: (count) => onProgress?.({ phase: 'events', done: (events += count), total: null }),
      signal,
    }
  })
  const failures = views.map(() => new FunctionFailures())
  const served = clock === null ? null : await servedRows(context, pool, clock, requests)
  let keptBytes = 0
  for (const [number, request] of requests.entries()) {
    const room = {
      eventBytesMax: budget.eventBytes - keptBytes,
      keepBytesMax: results.refersToEvents(number) ? budget.eventBytes / (2 * views.length - 1) : 0,
    }
    const seen = served === null ? {} : { t: served.t, bound: served.bounds[number] }
    keptBytes += await forEachUnit(context, pool, { ...request, ...room, ...seen }, async (unit, isKept) => {
      const target = results.target(number, isKept ? unit.events.columns : null)
      const stored = await pool.run({ kind: 'sweep', view: number, unit, target })
      results.add(number, stored)
      failures[number].add(stored.failures)
      done += unit.rowStart[unit.endEntity] - unit.rowStart[unit.firstEntity]
      onProgress?.({ phase: 'rows', done, total: t.length * views.length })
    })
    signal?.throwIfAborted()
  }
  return views.flatMap(({ plan: { name } }, number) => failures[number].list().map((failure) => ({ name, ...failure })))
}

const VISIBILITY: Readonly<Record<AsOf, Visibility>> = {
  arrival: 'arrival',
  'event-time': 'event-time',
  served: 'offset',
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
