import type { CompiledService, CompiledView } from '../features/kernel/compiled-view.ts'
import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import { ByteReader } from '../features/values/byte-reader.ts'
import { valueToJson } from '../features/values/json-values.ts'
import { decodeCell, encodeCell } from '../features/values/value-bytes.ts'
import { readServed } from '../inference/served-log.ts'
import { servedExtent } from '../inference/served-retention.ts'
import type { ServedSelection } from '../inference/served-log.ts'
import type { ServedRow } from '../inference/served-record.ts'
import { vectorNames } from '../inference/service-layout.ts'
import { entityKeyBytes } from '../features/values/entity-key.ts'
import { ForgottenKeys } from '../registry/forgotten-keys.ts'
import type { TouchedEntity } from '../registry/forgotten-keys.ts'
import { keyedLogOf } from '../registry/keyed-logs.ts'
import { isArchiveFileIntact } from '../stores/tables/archive-hashes.ts'
import type { ArchiveProgress } from '../stores/tables/archive-layout.ts'
import { candidatesOfPartition, filesOfPartition, partitionOfRow } from './entity-events.ts'
import { explainMismatch } from './explain-mismatch.ts'
import type { ExplainContext } from './explain-mismatch.ts'
import { recomputedVector, recomputeView, stampOffset } from './recompute-served.ts'
import type { ViewColumns } from './recompute-served.ts'
import { VerifyTally } from './verify-report.ts'
import type { VerifyReport } from './verify-report.ts'

export type { Mismatch, VerifyReport } from './verify-report.ts'

export interface VerifyOptions extends ServedSelection {
  /** Vectors done so far. */
  readonly onProgress?: (rows: number) => void
  /** Rows in memory at a time. */
  readonly batchRows?: number
}

const BATCH_ROWS = 20_000
/** Causes looked for in each batch; each takes several recomputations. */
const EXPLAINED_MAX = 50
const NOT_EXAMINED = 'not examined: the causes of earlier mismatches were'

/**
 * Recomputes served vectors from the archive at their stamps and compares canonical bytes, cell by cell. Needs the registry, the archive and the log; with an
 * online store it also holds stored states against the archive. Memory: one batch of the log, and the archived events of its entities that its rows can see.
 */
export async function verifyServed(context: ExplainContext, options: VerifyOptions = {}): Promise<VerifyReport> {
  const run = new Verification(context)
  run.tally.since = (await servedExtent(context.log)).since
  let held: ServedRow[] = []
  for await (const batch of readServed(context.log, options)) {
    for (const { offset, row } of batch) {
      if (row === null) run.damagedRecord(offset)
      else held.push(row)
      if (held.length < (options.batchRows ?? BATCH_ROWS)) continue
      await run.verify(held)
      held = []
      options.onProgress?.(run.tally.rows)
    }
  }
  await run.verify(held)
  options.onProgress?.(run.tally.rows)
  return run.tally.finish()
}

class Verification {
  readonly tally = new VerifyTally()
  readonly #context: ExplainContext
  /** Damage by keyed log and partition; null: none. */
  readonly #damage = new Map<string, string | null>()
  #forgotten: ForgottenKeys | null = null
  #touched: ReadonlyMap<string, TouchedEntity> | null = null

  constructor(context: ExplainContext) {
    this.#context = context
  }

  damagedRecord(offset: number): void {
    const cause = `record ${offset} of the served log is damaged: its bytes are not those that were written`
    this.tally.damage(cause)
    this.#whole({ requestId: `served/${offset}`, row: 0 }, cause)
  }

  async verify(rows: readonly ServedRow[]): Promise<void> {
    const archived = await this.#context.metadata.listProgress<ArchiveProgress>('archive')
    const byService = new Map<string, ServedRow[]>()
    for (const row of rows) {
      if (await this.#isPending(row, archived)) {
        this.tally.pending++
        continue
      }
      const own = byService.get(row.serviceVersion) ?? []
      byService.set(row.serviceVersion, own)
      own.push(row)
    }
    for (const [version, own] of byService)
      await this.#verifyService(await this.#context.registry.service(version), own)
  }

  async #isPending(row: ServedRow, archived: ReadonlyMap<string, ArchiveProgress>): Promise<boolean> {
    for (const stamp of row.stamps) {
      const keyedLog = keyedLogOf(await this.#context.registry.view(stamp.version))
      if (Number(stamp.nextOffset) > (archived.get(`${keyedLog}/${stamp.partition}`)?.nextOffset ?? 0)) return true
    }
    return false
  }

  async #verifyService(service: CompiledService, all: readonly ServedRow[]): Promise<void> {
    const versions = new Set(service.plan.features.map(({ viewVersion }) => viewVersion))
    const views = await Promise.all([...versions].map((version) => this.#context.registry.view(version)))
    const rows = await this.#readable(all, views)
    if (rows.length === 0) return
    const recomputed = new Map<string, ViewColumns>()
    for (const view of views) {
      const trials = rows.map((row) => ({ row, bound: stampOffset(row, view), t: row.evaluatedAt }))
      recomputed.set(view.version, { view, columns: await recomputeView(this.#context, view, trials) })
    }
    const names = vectorNames(service)
    this.tally.rows += rows.length
    for (let at = 0, explained = 0; at < rows.length; at++) {
      const { values, statuses } = recomputedVector(service, recomputed, rows[at], at)
      const cells = values.map((value, c) => encodeCell(value, statuses[c]))
      const isMatch = cells.map((cell, c) => Buffer.compare(cell, rows[at].cells[c]) === 0)
      if (isMatch.includes(false) && (await this.#lostEvents(views, rows[at]))) {
        this.tally.forgotten++
        continue
      }
      this.tally.values += cells.length
      isMatch.forEach((match, c) => this.tally.count(names[c], match))
      if (isMatch.includes(false))
        await this.#report(service, views, rows[at], cells, isMatch, explained++ < EXPLAINED_MAX)
    }
  }

  /** Whether a row was served from events that were removed since, with a key that was forgotten. */
  async #lostEvents(views: readonly CompiledView[], row: ServedRow): Promise<boolean> {
    const keys = (this.#forgotten ??= await ForgottenKeys.open(this.#context.metadata))
    const touched = (this.#touched ??= await keys.listTouched())
    return (
      touched.size > 0 &&
      views.some((view) => {
        const components = view.plan.entity.columns.map(({ name }) => row.entity[name] ?? null)
        if (components.includes(null)) return false
        const { name } = view.plan.entity
        const found = touched.get(`${keyedLogOf(view)}/${keys.hash(name, entityKeyBytes(components))}`)
        return found !== undefined && stampOffset(row, view) <= found.belowOffset
      })
    )
  }

  /** Rows whose partitions' archive files are as they were written; the others are reported as a whole. */
  async #readable(rows: readonly ServedRow[], views: readonly CompiledView[]): Promise<ServedRow[]> {
    const readable: ServedRow[] = []
    for (const row of rows) {
      let cause: string | null = null
      for (const view of views) {
        const partition = partitionOfRow(this.#context, view, row)
        if (partition !== null) cause ??= await this.#archiveDamage(view, partition)
      }
      if (cause === null) readable.push(row)
      else this.#whole(row, cause)
    }
    return readable
  }

  async #archiveDamage(view: CompiledView, partition: number): Promise<string | null> {
    const place = `${keyedLogOf(view)}/${partition}`
    const known = this.#damage.get(place)
    if (known !== undefined) return known
    const found = await this.#findDamage(view, partition)
    this.#damage.set(place, found)
    if (found !== null) this.tally.damage(found)
    return found
  }

  async #findDamage(view: CompiledView, partition: number): Promise<string | null> {
    try {
      // By their bytes before anything in them is believed: a footer may be what is damaged.
      for (const { name } of await candidatesOfPartition(this.#context, view, partition))
        if ((await isArchiveFileIntact(this.#context, name)) === false)
          return `archive file ${name} is damaged: its bytes are not those that were written; restore it from a backup`
      await filesOfPartition(this.#context, view, partition)
      return null
    } catch (error) {
      if (isTidemarkError(error) && error.code === 'TM_ARCHIVE_DAMAGED') return `archive file damaged: ${error.message}`
      throw error
    }
  }

  async #report(
    service: CompiledService,
    views: readonly CompiledView[],
    row: ServedRow,
    cells: readonly Uint8Array[],
    isMatch: readonly boolean[],
    explain: boolean,
  ): Promise<void> {
    const names = vectorNames(service)
    const { features, request } = service.plan
    const causes = new Map<string, string>()
    const wrong = features.flatMap(({ fullName }, c) => (isMatch[c] ? [] : [fullName]))
    for (const view of views) {
      if (!features.some(({ viewVersion }, c) => viewVersion === view.version && !isMatch[c])) continue
      causes.set(view.version, explain ? await explainMismatch(this.#context, service, view, row) : NOT_EXAMINED)
    }
    isMatch.forEach((match, c) => {
      if (match) return
      const cause =
        c < features.length
          ? (causes.get(features[c].viewVersion) ?? NOT_EXAMINED)
          : c < features.length + request.length
            ? 'the record contradicts itself: the value is not the request field that it holds'
            : wrong.length > 0
              ? `derived from other values: ${wrong.join(', ')}`
              : 'the derived function gave another value for the same inputs: other code served it'
      this.tally.mismatch({
        requestId: row.requestId,
        row: row.row,
        feature: names[c],
        served: readable(row.cells[c]),
        recomputed: readable(cells[c]),
        servedBytes: Buffer.from(row.cells[c] ?? []).toString('hex'),
        recomputedBytes: Buffer.from(cells[c]).toString('hex'),
        cause,
      })
    })
  }

  #whole({ requestId, row }: Pick<ServedRow, 'requestId' | 'row'>, cause: string): void {
    const nothing = { served: '', recomputed: '', servedBytes: '', recomputedBytes: '' }
    this.tally.mismatch({ requestId, row, feature: '*', ...nothing, cause })
  }
}

/** A cell for people: its value as JSON, and its status. */
function readable(cell: Uint8Array | undefined): string {
  if (cell === undefined) return 'nothing'
  const { value, status } = decodeCell(new ByteReader(cell))
  return `${valueToJson(value)} ${status}`
}
