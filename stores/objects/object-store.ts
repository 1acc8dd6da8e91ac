/** The object store port: immutable named bytes. Names are `/`-separated segments of [A-Za-z0-9._=-]. */
export interface ObjectInfo {
  readonly name: string
  readonly sizeBytes: number
  /** When it became visible, by the store's own clock, epoch ms. */
  readonly createdAtMs: number
}

export interface ObjectStore {
  /** Create-only and atomic: true if this call made the object, false if it was there already (the loser changes nothing). */
  create(name: string, bytes: Uint8Array): Promise<boolean>
  /** The same, for a finished local file, which is moved or uploaded; the local file is gone afterwards either way. */
  createFromFile(name: string, path: string): Promise<boolean>
  read(name: string): Promise<Uint8Array | null>
  /** A local path with the object's bytes (downloaded if need be), for engines that read files. TM_OBJECT_MISSING if absent. */
  localPath(name: string): Promise<string>
  /** Objects whose name starts with `prefix`, in name order. */
  list(prefix: string): Promise<ObjectInfo[]>
  delete(name: string): Promise<void>
  /** A fresh path for a temporary local file on the same volume. */
  temporaryPath(suffix: string): Promise<string>
  /** Deletes temporary files last written before `epochMs`, left by processes that ended early. */
  deleteTemporary(epochMs: number): Promise<void>
  close(): Promise<void>
}
