import type { FieldPlan } from '../features/plan/field-type.ts'
import type { Column } from '../features/values/column.ts'
import type { EventBatch } from '../features/values/event-batch.ts'
import type { KeyedLog } from '../registry/registry.ts'
import { ARCHIVE_FIELDS, archiveFolder } from '../stores/tables/archive-layout.ts'
import type { ArchiveProgress } from '../stores/tables/archive-layout.ts'
import { sqlName, sqlText } from '../stores/tables/tables.ts'
import { readKeyedRecord } from './keyed-reader.ts'
import { OriginFilter } from './origin-filter.ts'
import { keyedTopic } from './stream-context.ts'
import type { StreamContext } from './stream-context.ts'

const FETCH_BYTES = 4 << 20
const FILE_EVENTS_MAX = 1_000_000

/** What a file's footer says under `tidemark`. */
interface ArchiveFooter {
  readonly lastOffset: number
  /** Base64 of the origin high-waters after its last event. */
  readonly origins: string
}

/** Keyed logs → Parquet files with names that follow from their first offset. */
export class ArchiveRole {
  readonly #context: StreamContext

  constructor(context: StreamContext) {
    this.#context = context
  }

  /** At most one file per partition. Returns how many events were archived. */
  async runOnce(): Promise<number> {
    const settled = await this.#context.log.settledTime()
    let archived = 0
    for (const keyedLog of await this.#context.registry.keyedLogs()) {
      for (let partition = 0; partition < this.#context.partitions; partition++)
        archived += await this.#archive(keyedLog, partition, settled)
    }
    return archived
  }

  async #archive(keyedLog: KeyedLog, partition: number, settled: number): Promise<number> {
    const { log, metadata } = this.#context
    const topic = await log.createTopic(keyedTopic(keyedLog.name), { partitions: this.#context.partitions })
    const key = `${keyedLog.name}/${partition}`
    const progress = (await metadata.readProgress<ArchiveProgress>('archive', key)) ?? {
      nextOffset: 0,
      completeUntil: 0,
      origins: '',
    }
    const filter = OriginFilter.decode(Buffer.from(progress.origins, 'base64'))
    const batches: EventBatch[] = []
    let next = progress.nextOffset
    let events = 0
    let ended = false
    while (events < FILE_EVENTS_MAX) {
      const records = await log.read(topic.name, partition, next, FETCH_BYTES)
      ended = records.length === 0
      if (ended) break
      for (const record of records) {
        const batch = readKeyedRecord(record, keyedLog.source.fields, filter, key)
        if (batch !== null) batches.push(batch)
        events += batch?.length ?? 0
        next = record.offset + 1
      }
    }
    const completeUntil = ended ? settled : progress.completeUntil
    const origins = Buffer.from(filter.encode()).toString('base64')
    let reached = { lastOffset: next - 1, origins }
    if (batches.length > 0) {
      const name = `${archiveFolder(keyedLog.name, topic.incarnation, partition)}${String(progress.nextOffset).padStart(16, '0')}.parquet`
      reached = await this.#commit(keyedLog, name, batches, reached)
    }
    const nextOffset = reached.lastOffset + 1
    if (nextOffset !== progress.nextOffset || completeUntil - progress.completeUntil >= 1000) {
      const complete = nextOffset === next ? completeUntil : progress.completeUntil
      await metadata.writeProgress('archive', key, {
        nextOffset,
        completeUntil: complete,
        origins: reached.origins,
      } satisfies ArchiveProgress)
    }
    return events
  }

  /** Create-only. A file that is there already was committed before a crash, or by another worker: this one is discarded and that one's footer counts. */
  async #commit(
    keyedLog: KeyedLog,
    name: string,
    batches: readonly EventBatch[],
    footer: ArchiveFooter,
  ): Promise<ArchiveFooter> {
    const { objects, tables } = this.#context
    const fields = [...keyedLog.source.fields, ...ARCHIVE_FIELDS]
    const table = `archive_${keyedLog.name}`
    await tables.createTable(table, fields)
    for (const batch of batches)
      await tables.appendColumns(table, fields, { rows: batch.length, columns: archiveColumns(batch) })
    const path = await objects.temporaryPath('.parquet')
    await tables.execute(
      `COPY (SELECT * FROM ${sqlName(table)} ORDER BY "__offset", "__index") TO ${sqlText(path)} (FORMAT parquet, COMPRESSION zstd, KV_METADATA {tidemark: ${sqlText(JSON.stringify(footer))}})`,
    )
    await tables.dropTable(table)
    if (await objects.createFromFile(name, path)) return footer
    const held = await tables.readParquetMetadata(await objects.localPath(name))
    return JSON.parse(held.tidemark) as ArchiveFooter
  }
}

function archiveColumns(batch: EventBatch): Column[] {
  const number = (values: Float64Array, field: FieldPlan): Column => ({
    storage: 'number',
    type: field.type,
    values,
    nulls: null,
  })
  return [
    ...batch.columns,
    number(batch.eventTime, ARCHIVE_FIELDS[0]),
    number(batch.arrival, ARCHIVE_FIELDS[1]),
    number(batch.offset, ARCHIVE_FIELDS[2]),
    number(Float64Array.from(batch.index), ARCHIVE_FIELDS[3]),
  ]
}
