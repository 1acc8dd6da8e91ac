import type { MetadataStore } from '../metadata/metadata-store.ts'
import type { ObjectStore } from '../objects/object-store.ts'
import { sha256File } from '../sha256-file.ts'

/** Progress scope; key: an archive file's name. */
const SCOPE = 'archive-file'

interface HashStores {
  readonly objects: ObjectStore
  readonly metadata: MetadataStore
}

/** Writes down the SHA-256 of an archive file that was just committed. */
export async function recordArchiveHash(stores: HashStores, name: string): Promise<void> {
  await stores.metadata.writeProgress(SCOPE, name, { sha256: await hashObject(stores, name) })
}

/** Whether a file still has the bytes it was committed with; null where no hash was written down (a crash came in between). */
export async function isArchiveFileIntact(stores: HashStores, name: string): Promise<boolean | null> {
  const recorded = await stores.metadata.readProgress<{ sha256: string }>(SCOPE, name)
  return recorded === null ? null : recorded.sha256 === (await hashObject(stores, name))
}

async function hashObject({ objects }: HashStores, name: string): Promise<string> {
  return sha256File(await objects.localPath(name))
}
