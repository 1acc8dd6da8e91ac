import type { Column, NumberColumn } from '../../features/values/column.ts'
import { columnValue } from '../../features/values/column.ts'
import { valueToJson } from '../../features/values/json-values.ts'
import { sourceLogName } from '../../features/plan/source-plan.ts'
import type { EntityPlan, SourcePlan } from '../../features/plan/source-plan.ts'
import type { FieldPlan } from '../../features/plan/field-type.ts'
import { failStore } from '../../stores/errors.ts'
import type { ReadOptions } from '../../stores/tables/tables.ts'
import { sha256File } from '../../stores/sha256-file.ts'
import { gather, gatherColumn } from '../../features/values/gather.ts'
import { BackPressure } from '../ingest/back-pressure.ts'
import { deadLetterAppends, readDeadLetters } from '../dead-letters/dead-letters.ts'
import type { DeadLetter } from '../dead-letters/dead-letters.ts'
import { importRefusals, withNullsForNonFinite } from './import-refusals.ts'
import type { Refusal } from './import-refusals.ts'
import { appendTarget, repartition } from '../ingest/keyed-append.ts'
import type { LastSent, OriginEvents } from '../ingest/keyed-append.ts'
import type { Accepted } from '../produce.ts'
import { otherDonors, whileFed } from '../feeds/source-feeds.ts'
import { createTopics, deadTopic, limitsOf } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

export interface ImportOptions {
  /** A timestamp column, 'event-time', or null: the source's own arrival column, else its event time. */
  readonly arrival: string | null
  readonly onProgress?: (rows: number) => void
  /** What a file is called where a row of it is refused. Default: its path. */
  readonly title?: string
  /** Aborted: no further rows are taken in; those that were stay. */
  readonly signal?: AbortSignal
}

/** History from files straight into the keyed logs, file order kept. A file that was imported before changes nothing: its origin is its hash. */
export async function importFiles(
  context: StreamContext,
  sourceName: string,
  files: readonly string[],
  options: ImportOptions,
): Promise<Accepted> {
  const source = await context.registry.source(sourceName)
  await createTopics(context)
  await whileFed(context, source, async () => {})
  const arrivalColumn = arrivalOf(source, options.arrival)
  const total: Accepted = { accepted: 0, refused: 0, codes: {} }
  for (const file of files) await context.tables.describe(file)
  const pressure = new BackPressure(context)
  for (const file of files) {
    const origin = `import/${await sha256File(file)}/${arrivalColumn}`
    const { title = file } = options
    await importFile(context, { source, arrivalColumn, origin, file, title, pressure }, total, options)
  }
  return total
}

function arrivalOf(source: SourcePlan, asked: string | null): string {
  const column = asked === 'event-time' ? source.eventTime : (asked ?? source.arrival ?? source.eventTime)
  const field = source.fields.find(({ name }) => name === column)
  if (field?.type.kind !== 'timestamp') {
    throw failStore(
      'TM_COLUMN_MISSING',
      `--arrival names ${column}, which is no timestamp column of source ${source.name}: use one of its timestamps, or event-time`,
    )
  }
  return column
}

/** Progress scope `import`, by source version and origin. */
interface ImportProgress {
  /** Rows that were appended or refused. */
  readonly rows: number
}

interface EarlierImport extends ImportProgress {
  /** Code by row. */
  readonly letters: ReadonlyMap<number, string>
}

/**
 * What an import of the same file did before. Its dead letters stay letters, even where the schema takes in more today: they come in by replay. Rows that
 * it took in are none, even where the schema takes in less. Letters of versions whose history this one took over are such letters too: what became of them
 * is part of that history.
 */
async function earlierImport(context: StreamContext, source: SourcePlan, origin: string): Promise<EarlierImport> {
  const { log, metadata } = context
  const held = await metadata.readProgress<ImportProgress>('import', `${sourceLogName(source)}/${origin}`)
  const codes = new Map<number, string>()
  for (const version of [source, ...(await otherDonors(context, source))]) {
    if ((await log.topic(deadTopic(sourceLogName(version)))) === null) continue
    for await (const { letters } of readDeadLetters(log, sourceLogName(version)))
      for (const letter of letters) if (letter.origin === origin) codes.set(letter.sequence[0], letter.code)
  }
  return { rows: held?.rows ?? 0, letters: codes }
}

interface ImportJob {
  readonly source: SourcePlan
  readonly arrivalColumn: string
  readonly origin: string
  readonly file: string
  readonly title: string
  readonly pressure: BackPressure
}

async function importFile(
  context: StreamContext,
  job: ImportJob,
  total: Accepted,
  { onProgress, signal }: ImportOptions,
): Promise<void> {
  const { source, origin } = job
  const { log } = context
  const { messageBytesMax } = limitsOf(context)
  let lastSent: LastSent = {}
  const held = await earlierImport(context, source, origin)
  let firstRow = 0
  const { fields, read } = await fileReading(context, source)
  for await (const { rows, columns: found } of context.tables.readColumns(job.file, fields, read)) {
    if (signal?.aborted === true) break
    const columns = found.map((column, f) => withNullsForNonFinite(source.fields[f], column))
    const { accepted, refused } = await whileFed(context, source, async ({ feeds, keyedLogs }) => {
      await job.pressure.untilRoom(keyedLogs, signal)
      const entities = keyedLogs.map(({ entity }) => entity)
      const now = Math.floor(log.now())
      const taken = takeRows(job, { columns, rows, firstRow, entities, messageBytesMax, now }, held)
      const sent = { ...lastSent }
      const blocks = keyedLogs.flatMap((keyedLog) =>
        repartition({ ...appendTarget(context, keyedLog), source }, taken.events, sent),
      )
      const letters = deadLetterAppends(sourceLogName(source), taken.letters, messageBytesMax)
      await log.appendAll([...letters, ...blocks, feeds.guard])
      lastSent = sent
      return { accepted: taken.events.length, refused: taken.refused }
    })
    total.accepted += accepted
    total.refused += refused.size
    for (const { code } of refused.values()) total.codes[code] = (total.codes[code] ?? 0) + 1
    firstRow += rows
    if (firstRow > held.rows)
      await context.metadata.writeProgress('import', `${sourceLogName(source)}/${origin}`, {
        rows: firstRow,
      } satisfies ImportProgress)
    onProgress?.(total.accepted + total.refused)
  }
}

/** As what the columns of a source's files are read. Nulls where there should be none are found later, with their rows. */
export async function fileReading(
  { registry }: Pick<StreamContext, 'registry'>,
  source: SourcePlan,
): Promise<{ fields: FieldPlan[]; read: ReadOptions }> {
  const keys = (await registry.entities()).flatMap((entity) => entity.columns)
  return {
    fields: source.fields.map((field) => ({ ...field, nullable: true })),
    read: {
      emptyStrings: new Set(keys.flatMap(({ name, type }) => (type.kind === 'string' ? [name] : []))),
      absent: new Set(source.fields.flatMap(({ name, nullable }) => (nullable ? [name] : []))),
    },
  }
}

interface FileRows {
  readonly columns: readonly Column[]
  readonly rows: number
  /** Number of the first in its file. */
  readonly firstRow: number
  /** That the source is keyed by. */
  readonly entities: readonly EntityPlan[]
  readonly messageBytesMax: number
  /** Epoch ms. */
  readonly now: number
}

/** Rows of a file as events, the refused ones as letters where they are none yet. */
function takeRows(
  { source, arrivalColumn, origin, title }: ImportJob,
  { columns, rows, firstRow, entities, messageBytesMax, now }: FileRows,
  held: EarlierImport,
): { events: OriginEvents; letters: DeadLetter[]; refused: ReadonlyMap<number, Refusal> } {
  const refused = importRefusals({ source, entities, messageBytesMax, arrivalColumn, columns, rows }, now)
  for (let row = 0; row < rows; row++) {
    const code = held.letters.get(firstRow + row)
    if (code !== undefined) refused.set(row, { code, reason: '' })
  }
  const fresh = [...refused]
    .filter(([row]) => firstRow + row >= held.rows && !held.letters.has(firstRow + row))
    .sort(([a], [b]) => a - b)
  const letters: DeadLetter[] = fresh.map(([row, { code, reason }]) => ({
    code,
    reason: `row ${firstRow + row + 1} of ${title}: ${reason}`,
    origin,
    sequence: [firstRow + row, 0],
    payload: rowJson(source, columns, row),
  }))
  const keep = Int32Array.from({ length: rows }, (_, row) => row).filter((row) => !refused.has(row))
  const events = {
    origin,
    length: keep.length,
    sequenceOffset: Float64Array.from(keep, (row) => firstRow + row),
    sequenceIndex: new Int32Array(keep.length),
    eventTime: timesOf(source, source.eventTime, columns, keep),
    arrival: timesOf(source, arrivalColumn, columns, keep),
    columns: columns.map((column) => gatherColumn(column, keep)),
  }
  return { events, letters, refused }
}

/** A row as the JSON event that decodes to it; NaN and infinities as text. */
function rowJson(source: SourcePlan, columns: readonly Column[], row: number): string {
  const cells = source.fields.map(({ name }, f) => {
    const value = columnValue(columns[f], row)
    const text =
      typeof value === 'number' && !Number.isFinite(value) ? JSON.stringify(String(value)) : valueToJson(value)
    return `${JSON.stringify(name)}:${text}`
  })
  return `{${cells.join(',')}}`
}

function timesOf(source: SourcePlan, name: string, columns: readonly Column[], keep: Int32Array): Float64Array {
  const column = columns[source.fields.findIndex((field) => field.name === name)] as NumberColumn
  return gather(column.values, keep, new Float64Array(keep.length))
}
