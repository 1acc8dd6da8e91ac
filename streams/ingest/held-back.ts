import type { MetadataStore } from '../../stores/metadata/metadata-store.ts'

const SCOPE = 'held-back'

/** What a producer waits for. */
export interface HeldBack {
  readonly by: 'apply' | 'archive'
  readonly keyedLog: string
  readonly partition: number
}

export interface HeldBackSource extends HeldBack {
  /** Since when, epoch ms. */
  readonly since: number
}

/** Makes known to other processes that the ingest of a source version waits; null: it does not. */
export async function publishHeldBack(
  metadata: MetadataStore,
  source: string,
  held: HeldBackSource | null,
): Promise<void> {
  await metadata.writeProgress(SCOPE, source, held)
}

/** By source version, those whose ingest waits. */
export async function readHeldBack(metadata: MetadataStore): Promise<ReadonlyMap<string, HeldBackSource>> {
  const all = await metadata.listProgress<HeldBackSource | null>(SCOPE)
  return new Map([...all].flatMap(([source, held]) => (held === null ? [] : [[source, held] as const])))
}
