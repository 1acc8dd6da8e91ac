import type { TidemarkError } from '../features/errors/tidemark-error.ts'
import type { MetadataStore } from '../stores/metadata/metadata-store.ts'

const SCOPES = { stream: 'stopped', archive: 'stopped-archive' } as const
type Role = keyof typeof SCOPES

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
  role: Role,
  stopped: ReadonlyMap<string, TidemarkError>,
  known: Set<string>,
): Promise<void> {
  for (const [name, { code, message }] of stopped) {
    if (known.has(name)) continue
    await metadata.writeProgress(SCOPES[role], name, { code, message } satisfies Held)
    known.add(name)
  }
}

/** Nothing has stopped, of all or of some: who takes a partition on tries it again. */
export async function forgetStopped(
  metadata: MetadataStore,
  role: Role,
  isForgotten: (partition: string) => boolean = () => true,
): Promise<void> {
  for (const { partition } of await readStopped(metadata, role))
    if (isForgotten(partition)) await metadata.writeProgress(SCOPES[role], partition, null)
}

/** In a role; without one, in any, what stopped for the same cause in both once. */
export async function readStopped(metadata: MetadataStore, role?: Role): Promise<StoppedPartition[]> {
  const found = new Map<string, StoppedPartition>()
  for (const one of role === undefined ? (['stream', 'archive'] as const) : [role])
    for (const [partition, cause] of await metadata.listProgress<Held>(SCOPES[one]))
      if (cause !== null) found.set(`${partition} ${cause.code}`, { partition, ...cause })
  return [...found.values()].sort((a, b) => (a.partition < b.partition ? -1 : 1))
}
