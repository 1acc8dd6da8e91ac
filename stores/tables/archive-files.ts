import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import { failStore } from '../errors.ts'
import type { MetadataStore } from '../metadata/metadata-store.ts'
import type { ObjectStore } from '../objects/object-store.ts'
import { archiveFolder } from './archive-layout.ts'
import type { ArchiveProgress } from './archive-layout.ts'
import type { Tables } from './tables.ts'

/*
 * A keyed partition's archive is a folder of Parquet files named `l<level>-<first offset, 16 digits>.parquet`. The archiver writes level 0, each file
 * beginning where the one before ended; compaction writes a file of the next level in place of a run of files and deletes those later. So one event may
 * be in several files, and which of them are the archive is decided here alone: beginning at offset 0, the file of the highest level that starts at the
 * position reached, then on from its end.
 */
const NAME = /\/l(\d+)-(\d{16})\.parquet$/
const FOOTER_KEY = 'tidemark'
/** Of the files. A greater one is refused. */
const FORMAT = 1
/** A listing is stale when one of its files was deleted meanwhile: list again. */
const ATTEMPTS_MAX = 5

export interface PartitionPlace {
  /** `<source>.<entity>`. */
  readonly keyedLog: string
  readonly incarnation: string
  readonly partition: number
}

/** What a file's footer says under `tidemark`. */
export interface ArchiveFooter {
  /** Offset of the last record in the file: the next file begins at the one after. */
  readonly lastOffset: number
  readonly events: number
  /** Base64 of the origin high-waters after its last event. */
  readonly origins: string
}

export interface ArchiveCandidate {
  readonly name: string
  readonly level: number
  readonly firstOffset: number
  readonly sizeBytes: number
  readonly createdAtMs: number
}

export interface ArchiveFile extends ArchiveCandidate, ArchiveFooter {}

export interface ArchiveStores {
  readonly objects: ObjectStore
  readonly tables: Tables
  /** Footers by object name, kept by a caller that lists often: files never change. */
  readonly footers?: Map<string, ArchiveFooter>
}

export function archiveFileName(place: PartitionPlace, level: number, firstOffset: number): string {
  return `${archiveFolder(place.keyedLog, place.incarnation, place.partition)}l${level}-${String(firstOffset).padStart(16, '0')}.parquet`
}

/** The key-value metadata of a file to be written, for COPY's KV_METADATA. */
export function archiveFooterText(footer: ArchiveFooter): Readonly<Record<string, string>> {
  return { [FOOTER_KEY]: JSON.stringify({ format: FORMAT, ...footer }) }
}

export async function readArchiveFooter(stores: ArchiveStores, name: string): Promise<ArchiveFooter> {
  const known = stores.footers?.get(name)
  if (known !== undefined) return known
  const path = await stores.objects.localPath(name)
  try {
    const text = (await stores.tables.readParquetMetadata(path))[FOOTER_KEY]
    const { format, ...footer } = JSON.parse(text) as ArchiveFooter & { readonly format: number }
    if (format > FORMAT)
      throw failStore(
        'TM_DATA_NEWER',
        `${path} has format ${format}, this version reads up to ${FORMAT}: upgrade Tidemark, or use another data folder`,
      )
    stores.footers?.set(name, footer)
    return footer
  } catch (cause) {
    if (isTidemarkError(cause)) throw cause
    await stores.objects.localPath(name)
    throw damaged(path, 'cannot be read as an archive file', cause)
  }
}

function damaged(path: string, what: string, cause?: unknown): Error {
  return failStore('TM_ARCHIVE_DAMAGED', `${path} ${what}: restore it from a backup`, { details: { path }, cause })
}

/**
 * The files that hold a partition's events, each event in exactly one, in offset order. The last may hold events at or beyond `endOffset`: a reader that
 * pins a position selects `"__offset" < endOffset` too. Files stay readable for the compaction's grace after they are listed.
 */
export async function archiveFiles(
  stores: ArchiveStores,
  place: PartitionPlace,
  endOffset: number = Infinity,
): Promise<ArchiveFile[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await chain(await archiveCandidates(stores, place), stores, endOffset)
    } catch (error) {
      if (attempt === ATTEMPTS_MAX || !isTidemarkError(error) || error.code !== 'TM_OBJECT_MISSING') throw error
    }
  }
}

/** Every archive file of a partition that is there, replaced ones too. */
export async function archiveCandidates(
  { objects }: Pick<ArchiveStores, 'objects'>,
  { keyedLog, incarnation, partition }: PartitionPlace,
): Promise<ArchiveCandidate[]> {
  const found: ArchiveCandidate[] = []
  for (const { name, sizeBytes, createdAtMs } of await objects.list(archiveFolder(keyedLog, incarnation, partition))) {
    const match = NAME.exec(name)
    if (match !== null)
      found.push({ name, level: Number(match[1]), firstOffset: Number(match[2]), sizeBytes, createdAtMs })
  }
  return found
}

/** `archiveFiles`, all of them. TM_ARCHIVE_DAMAGED too where they end before the position that the archiver had stored: files at the end are missing. */
export async function wholeArchive(
  stores: ArchiveStores & { readonly metadata: MetadataStore },
  place: PartitionPlace,
): Promise<ArchiveFile[]> {
  // Read first: the archiver stores it after it has committed a file.
  const held = await stores.metadata.readProgress<ArchiveProgress>('archive', `${place.keyedLog}/${place.partition}`)
  const files = await archiveFiles(stores, place)
  const end = files.length === 0 ? 0 : files[files.length - 1].lastOffset + 1
  if (held !== null && end < held.nextFileOffset)
    throw damaged(
      archiveFolder(place.keyedLog, place.incarnation, place.partition),
      `ends at offset ${end}, but had been written up to ${held.nextFileOffset}: files are missing`,
    )
  return files
}

async function chain(
  candidates: readonly ArchiveCandidate[],
  stores: ArchiveStores,
  endOffset: number,
): Promise<ArchiveFile[]> {
  const highest = new Map<number, ArchiveCandidate>()
  for (const candidate of candidates) {
    const other = highest.get(candidate.firstOffset)
    if (other === undefined || other.level < candidate.level) highest.set(candidate.firstOffset, candidate)
  }
  const files: ArchiveFile[] = []
  const starts = [...highest.keys()].sort((a, b) => a - b)
  let position = 0
  for (const start of starts) {
    if (start < position) continue
    if (start >= endOffset) break
    const candidate = highest.get(start)!
    if (start > position)
      throw damaged(candidate.name, `does not follow: the file from offset ${position} on is missing`)
    const file = { ...candidate, ...(await readArchiveFooter(stores, candidate.name)) }
    files.push(file)
    position = file.lastOffset + 1
  }
  return files
}
