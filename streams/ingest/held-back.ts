import type { MetadataStore } from '../../stores/metadata/metadata-store.ts'

const SCOPE = 'held-back'

/** A consumer that a producer waits for. */
export interface HeldBack {
  readonly by: 'apply' | 'archive'
  readonly keyedLog: string
  readonly partition: number
}

/** Events name schemas that cannot be asked for. */
export interface WithoutSchemas {
  readonly by: 'schema-registry'
  readonly reason: string
}

/** What the ingest of a source waits for. */
export type HeldBackCause = HeldBack | WithoutSchemas

/** `since`: epoch ms. */
export type HeldBackSource = HeldBackCause & { readonly since: number }

export function describeHeldBack(held: HeldBackCause): string {
  return held.by === 'schema-registry' ? held.reason : `${held.by} of ${held.keyedLog}/${held.partition}`
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
