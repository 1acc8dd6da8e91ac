/** How a file was when it was found: another mark, other contents. */
export interface FileMark {
  readonly bytes: number
  /** Epoch ms, by the clock of the machine that the file lies on. */
  readonly modifiedMs: number
  /** Of an object in S3. */
  readonly etag?: string
}

export interface TableFile {
  /** As people know it: a path from the project's folder, or `s3://bucket/key`. */
  readonly name: string
  readonly mark: FileMark
}

/** A file's contents on this machine. */
export interface LocalFile {
  readonly path: string
  /** Deletes what was copied for it. */
  release(): Promise<void>
}

/** Files of tables, wherever they lie. */
export interface TableFiles {
  /** Files that globs match, in the order of their names; hidden ones are left out. */
  find(globs: readonly string[]): Promise<TableFile[]>
  /** The file's mark once nobody writes to it any more, or now, if aborted. TM_FILE_MISSING. */
  settled(file: TableFile, signal: AbortSignal): Promise<FileMark>
  /** TM_FILE_MISSING, TM_OBJECTS_UNAVAILABLE, TM_OBJECTS_REFUSED. */
  open(file: TableFile): Promise<LocalFile>
  close(): Promise<void>
}

/** Whether two marks are of the same contents. */
export function isSameMark(a: FileMark, b: FileMark): boolean {
  return a.bytes === b.bytes && a.modifiedMs === b.modifiedMs && a.etag === b.etag
}
