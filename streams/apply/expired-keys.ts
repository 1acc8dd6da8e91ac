import type { MetadataStore } from '../../stores/metadata/metadata-store.ts'

/** Progress scope; key: `<view version>/<keyed log>/<partition>`, which has one writer. */
const SCOPE = 'expired-keys'

interface Held {
  readonly view: string
  readonly keys: number
}

/** Adds states that a sweep deleted; a crash between the sweep and this loses the count, not more. */
export async function countExpiredKeys(
  metadata: MetadataStore,
  place: { readonly version: string; readonly view: string; readonly keyedPartition: string },
  keys: number,
): Promise<void> {
  const key = `${place.version}/${place.keyedPartition}`
  const held = await metadata.readProgress<Held>(SCOPE, key)
  await metadata.writeProgress(SCOPE, key, { view: place.view, keys: (held?.keys ?? 0) + keys } satisfies Held)
}

/** States deleted so far, by view name. */
export async function readExpiredKeys(metadata: MetadataStore): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {}
  for (const { view, keys } of (await metadata.listProgress<Held>(SCOPE)).values())
    counts[view] = (counts[view] ?? 0) + keys
  return counts
}
