import { archiveCandidates, archiveFileName, archiveFiles } from '../../stores/tables/archive-files.ts'
import type { ArchiveFile, ArchiveFooter, ArchiveStores, PartitionPlace } from '../../stores/tables/archive-files.ts'
import { recordArchiveHash } from '../../stores/tables/archive-hashes.ts'
import { sqlText } from '../../stores/tables/tables.ts'
import { copyToArchive } from './archive-writer.ts'
import { keyedTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

/** So many neighbours of one level become one file of the next; so few, where more would be too large. */
const MERGED_FILES = 16
const MERGED_FILES_MIN = 4
/** A merged file is no larger than what is read well in one piece. */
const MERGED_EVENTS_MAX = 1_000_000
const MERGED_BYTES_MAX = 128 << 20
/** Unfinished files of processes that were killed are deleted after this long. */
const TEMPORARY_MS = 24 * 3_600_000

export interface CompactionOptions {
  /** Epoch ms of the machine's own clock, which stamps files, whatever clock the deployment has. */
  readonly wallClock: () => number
  /** How long a file outlives the one that replaced it: the longest that an export may take to read what it listed. */
  readonly graceMs: number
}

/**
 * Few large archive files in place of many small ones. A merged file is complete before it appears, under a name of a higher level that only one process
 * can create; the files that it replaces are deleted a grace later. Whatever is killed in between, `archiveFiles` gives every event once.
 */
export class CompactionRole {
  readonly #context: StreamContext
  readonly #options: CompactionOptions
  readonly #footers = new Map<string, ArchiveFooter>()

  constructor(context: StreamContext, options: CompactionOptions) {
    this.#context = context
    this.#options = options
  }

  /** Merges what there is to merge and deletes what was replaced a grace ago. Returns how many files were merged. */
  async runOnce(signal?: AbortSignal): Promise<number> {
    let merged = 0
    for (const { name } of await this.#context.registry.keyedLogs()) {
      const topic = await this.#context.log.topic(keyedTopic(name))
      if (topic === null) continue
      for (let partition = 0; partition < topic.partitions; partition++) {
        if (signal?.aborted === true) return merged
        merged += await this.#compact({ keyedLog: name, incarnation: topic.incarnation, partition }, signal)
      }
    }
    await this.#context.objects.deleteTemporary(this.#options.wallClock() - TEMPORARY_MS)
    return merged
  }

  async #compact(place: PartitionPlace, signal?: AbortSignal): Promise<number> {
    const { objects, tables } = this.#context
    const stores: ArchiveStores = { objects, tables, footers: this.#footers }
    let merged = 0
    let files = await archiveFiles(stores, place)
    for (let run = nextRun(files); run !== null && signal?.aborted !== true; run = nextRun(files)) {
      await recordArchiveHash(this.#context, await merge(stores, place, run))
      merged += run.length
      files = await archiveFiles(stores, place)
    }
    await this.#deleteReplaced(place, files)
    return merged
  }

  async #deleteReplaced(place: PartitionPlace, files: readonly ArchiveFile[]): Promise<void> {
    const { objects } = this.#context
    const before = this.#options.wallClock() - this.#options.graceMs
    const live = new Set(files.map(({ name }) => name))
    for (const { name, firstOffset } of await archiveCandidates({ objects }, place)) {
      if (live.has(name)) continue
      const covering = files.find((file) => file.firstOffset <= firstOffset && firstOffset <= file.lastOffset)
      if (covering === undefined || covering.createdAtMs > before) continue
      await objects.delete(name)
      this.#footers.delete(name)
    }
  }
}

/** The first run of neighbours that should become one file: of one level, and together not too large. */
export function nextRun(files: readonly ArchiveFile[]): readonly ArchiveFile[] | null {
  for (let start = 0; start < files.length; start++) {
    const run: ArchiveFile[] = []
    let events = 0
    let bytes = 0
    let full = false
    for (let i = start; i < files.length && files[i].level === files[start].level && run.length < MERGED_FILES; i++) {
      events += files[i].events
      bytes += files[i].sizeBytes
      full = events > MERGED_EVENTS_MAX || bytes > MERGED_BYTES_MAX
      if (full) break
      run.push(files[i])
    }
    if (run.length === MERGED_FILES || (full && run.length >= MERGED_FILES_MIN)) return run
  }
  return null
}

/** Returns the file's name. Create-only: a merged file that is there already was made by another process from the same files. */
async function merge(stores: ArchiveStores, place: PartitionPlace, run: readonly ArchiveFile[]): Promise<string> {
  const { objects, tables } = stores
  const { lastOffset, origins } = run[run.length - 1]
  const events = run.reduce((sum, file) => sum + file.events, 0)
  const paths: string[] = []
  for (const { name } of run) paths.push(await objects.localPath(name))
  const path = await objects.temporaryPath('.parquet')
  const query = `SELECT * FROM read_parquet([${paths.map(sqlText).join(', ')}], union_by_name = true)`
  await tables.execute(copyToArchive(query, path, { lastOffset, events, origins }))
  const name = archiveFileName(place, run[0].level + 1, run[0].firstOffset)
  await objects.createFromFile(name, path)
  return name
}
