import type { TidemarkError } from '../features/errors/tidemark-error.ts'
import type { MetadataStore } from '../stores/metadata/metadata-store.ts'

const SCOPE = 'stopped'

/** A partition of a source or a keyed log that stopped for good, until its role is started anew. */
export interface StoppedPartition {
  /** `<topic or keyed log>/<number>`. */
  readonly partition: string
  readonly code: string
  readonly message: string
}

type Held = Omit<StoppedPartition, 'partition'> | null

/** Makes known to other processes what has stopped in this one: `known`, by name, is what they were told, and is brought up to date. */
export async function publishStopped(
  metadata: MetadataStore,
  stopped: ReadonlyMap<string, TidemarkError>,
  known: Set<string>,
): Promise<void> {
  for (const [name, { code, message }] of stopped) {
    if (known.has(name)) continue
    await metadata.writeProgress(SCOPE, name, { code, message } satisfies Held)
    known.add(name)
  }
}

/** Nothing has stopped: a role that starts anew tries every partition again. */
export async function forgetStopped(metadata: MetadataStore): Promise<void> {
  for (const { partition } of await readStopped(metadata)) await metadata.writeProgress(SCOPE, partition, null)
}

export async function readStopped(metadata: MetadataStore): Promise<StoppedPartition[]> {
  const held = await metadata.listProgress<Held>(SCOPE)
  return [...held]
    .flatMap(([partition, cause]) => (cause === null ? [] : [{ partition, ...cause }]))
    .sort((a, b) => (a.partition < b.partition ? -1 : 1))
}
