import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import type { TidemarkError } from '../../features/errors/tidemark-error.ts'
import type { KeyedLog } from '../../registry/keyed-logs.ts'
import { archiveFileName, archiveFiles } from '../../stores/tables/archive-files.ts'
import type { PartitionPlace } from '../../stores/tables/archive-files.ts'
import type { ArchiveProgress } from '../../stores/tables/archive-layout.ts'
import { recordArchiveHash } from '../../stores/tables/archive-hashes.ts'
import { ArchiveWriter } from './archive-writer.ts'
import { isHistoryRead } from '../ingest/ingest-checkpoint.ts'
import { readKeyedRecord } from '../blocks/keyed-reader.ts'
import { OriginFilter } from '../blocks/origin-filter.ts'
import { FedLogs } from '../feeds/source-feeds.ts'
import { forgetStopped, publishStopped } from '../stopped-partitions.ts'
import { keyedPart, OWNS_ALL } from '../workers/ownership.ts'
import type { Ownership } from '../workers/ownership.ts'
import { archiveParts } from '../workers/parts.ts'
import type { WorkerGroup } from '../workers/worker-group.ts'
import { keyedTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

const FETCH_BYTES = 4 << 20
const FILE_EVENTS_MAX = 1_000_000
/** Of events in memory, before encoding. */
const FILE_BYTES_MAX = 64 << 20
/** How often the time up to which the archive is complete is stored when nothing else moves. */
const COMPLETE_EVERY_MS = 1000
const NOTHING: ArchiveProgress = { nextOffset: 0, nextFileOffset: 0, completeUntil: 0, origins: '' }

/** Keyed logs → Parquet files with names that follow from their first offset. */
export class ArchiveRole {
  readonly #context: StreamContext
  readonly #group: WorkerGroup | null
  readonly #ownership: Ownership
  readonly #fed: FedLogs
  /** Partitions whose progress was compared with the files since this process began. */
  readonly #compared = new Set<string>()
  readonly #looked = new Set<string>()
  #isFirst = true
  readonly #stopped = new Map<string, TidemarkError>()
  /** What other processes were told of `stopped`; null: nothing yet. */
  #published: Set<string> | null = null

  /** `group`: the workers who share the work; without one this process does it all. */
  constructor(context: StreamContext, group: WorkerGroup | null = null) {
    this.#context = context
    this.#group = group
    this.#ownership = group ?? OWNS_ALL
    this.#fed = new FedLogs(context.log)
  }

  /** Partitions (`<keyed log>/<number>`) whose log cannot be read on, each with the cause; all others go on. */
  get stopped(): ReadonlyMap<string, TidemarkError> {
    return this.#stopped
  }

  /** At most one file per partition. Returns how many events were archived. */
  async runOnce(): Promise<number> {
    const { metadata } = this.#context
    if (this.#published === null) {
      if (this.#group === null) await forgetStopped(metadata, 'archive')
      this.#published = new Set()
    }
    await this.#turn()
    const fresh = this.#isFirst
    this.#isFirst = false
    let archived = 0
    for (const keyedLog of await this.#fed.among(await this.#context.registry.keyedLogs())) {
      // The first look of a process always counts: a command that archives by itself means everything up to now.
      const settled = await this.#context.log.settledTime(keyedTopic(keyedLog.name), { fresh })
      for (let partition = 0; partition < this.#context.partitions; partition++)
        archived += await this.#step(keyedLog, partition, settled)
    }
    await publishStopped(metadata, 'archive', this.#stopped, this.#published)
    return archived
  }

  async #turn(): Promise<void> {
    const letGo = async (parts: readonly string[]): Promise<void> => this.letGo(parts)
    const taken = (await this.#group?.turn(() => archiveParts(this.#context), letGo)) ?? []
    const isNew = new Set(taken)
    if (isNew.size > 0) await forgetStopped(this.#context.metadata, 'archive', (name) => isNew.has(name))
  }

  /** These partitions are to be another worker's: nothing of them is under way between two rounds. */
  letGo(names: Iterable<string>): void {
    for (const name of names) {
      this.#stopped.delete(name)
      this.#published?.delete(name)
      this.#looked.delete(name)
      this.#compared.delete(name)
    }
  }

  async #step(keyedLog: KeyedLog, partition: number, settled: number): Promise<number> {
    const name = keyedPart(keyedLog.name, partition)
    if (!this.#ownership.owns(name)) this.letGo([name])
    if (this.#stopped.has(name) || !this.#ownership.owns(name)) return 0
    try {
      return await this.#archive(keyedLog, partition, settled)
    } catch (error) {
      if (!isUnreadable(error)) throw error
      this.#stopped.set(name, error)
      return 0
    }
  }

  async #archive(keyedLog: KeyedLog, partition: number, settledTime: number): Promise<number> {
    const { log, metadata } = this.#context
    const topic = await log.createTopic(keyedTopic(keyedLog.name), { partitions: this.#context.partitions })
    const key = `${keyedLog.name}/${partition}`
    const held = (await metadata.readProgress<ArchiveProgress>('archive', key)) ?? NOTHING
    // Events that arrived earlier are still to come: nothing is complete yet.
    const settled = (await isHistoryRead(this.#context, keyedLog.source)) ? settledTime : held.completeUntil
    if (held.nextOffset === (await log.endOffset(topic.name, partition))) {
      const isFirst = !this.#looked.has(key)
      this.#looked.add(key)
      if (isFirst || settled - held.completeUntil >= COMPLETE_EVERY_MS)
        await metadata.writeProgress('archive', key, { ...held, completeUntil: settled } satisfies ArchiveProgress)
      return 0
    }
    const place = { keyedLog: keyedLog.name, incarnation: topic.incarnation, partition }
    const { progress, events } = await this.#writeFile(keyedLog, place, await this.#committed(place, held), settled)
    await metadata.writeProgress('archive', key, progress)
    return events
  }

  /** Progress as the files have it: a crash may have come between a file's commit and the progress written after it. */
  async #committed(place: PartitionPlace, held: ArchiveProgress): Promise<ArchiveProgress> {
    const key = keyedPart(place.keyedLog, place.partition)
    if (this.#compared.has(key)) return held
    const last = (await archiveFiles(this.#context, place)).at(-1)
    this.#compared.add(key)
    if (last === undefined || last.lastOffset < held.nextOffset) return held
    const nextOffset = last.lastOffset + 1
    return { nextOffset, nextFileOffset: nextOffset, completeUntil: held.completeUntil, origins: last.origins }
  }

  /** `settled` was read before the log is: where its end is reached, everything appended earlier than that time is archived. */
  async #writeFile(
    keyedLog: KeyedLog,
    place: PartitionPlace,
    from: ArchiveProgress,
    settled: number,
  ): Promise<{ progress: ArchiveProgress; events: number }> {
    const { log } = this.#context
    const writer = new ArchiveWriter(this.#context, keyedLog)
    const filter = OriginFilter.decode(Buffer.from(from.origins, 'base64'))
    let next = from.nextOffset
    let ended = false
    try {
      try {
        while (!isFull(writer)) {
          const records = await log.read(keyedTopic(keyedLog.name), place.partition, next, FETCH_BYTES)
          ended = records.length === 0
          if (ended) break
          for (const record of records) {
            const where = `${keyedLog.name}/${place.partition}`
            const batch = readKeyedRecord(record, keyedLog.source.fields, filter, where)
            if (batch !== null) await writer.add(batch)
            next = record.offset + 1
            if (isFull(writer)) break
          }
        }
      } catch (error) {
        // What came before the record that cannot be read counts.
        if (!isUnreadable(error) || next === from.nextOffset) throw error
      }
      const completeUntil = ended ? settled : from.completeUntil
      const origins = Buffer.from(filter.encode()).toString('base64')
      const { events } = writer
      if (events === 0) return { progress: { ...from, nextOffset: next, completeUntil, origins }, events }
      const name = archiveFileName(place, 0, from.nextFileOffset)
      const { lastOffset, ...footer } = await writer.commit(name, { lastOffset: next - 1, events, origins })
      await recordArchiveHash(this.#context, name)
      const nextOffset = lastOffset + 1
      const complete = nextOffset === next ? completeUntil : from.completeUntil
      return {
        progress: { nextOffset, nextFileOffset: nextOffset, completeUntil: complete, origins: footer.origins },
        events: footer.events,
      }
    } finally {
      await writer.discard()
    }
  }
}

function isUnreadable(error: unknown): error is TidemarkError {
  return isTidemarkError(error) && (error.code === 'TM_STREAM_GAP' || error.code === 'TM_BLOCK_UNREADABLE')
}

function isFull({ events, bytes }: ArchiveWriter): boolean {
  return events >= FILE_EVENTS_MAX || bytes >= FILE_BYTES_MAX
}
