import type { TidemarkError } from '../features/errors/tidemark-error.ts'
import type { MetadataStore } from '../stores/metadata/metadata-store.ts'
import { ApplyRole } from './apply/apply-role.ts'
import { FillRole } from './feeds/fill-role.ts'
import { IngestRole } from './ingest/ingest.ts'
import { RecentBlocks } from './blocks/recent-blocks.ts'
import { forgetStopped, publishStopped } from './stopped-partitions.ts'
import type { StreamContext } from './stream-context.ts'

/** Source topics → keyed logs → online states, in one loop. While ingest lies behind, states are flushed only now and then: fewer, larger writes. */
export class StreamRole {
  readonly #ingest: IngestRole
  readonly #fill: FillRole
  readonly #apply: ApplyRole
  readonly #metadata: MetadataStore
  /** What other processes were told of `stopped`; null: nothing yet. */
  #published: Set<string> | null = null

  constructor(context: StreamContext) {
    this.#metadata = context.metadata
    const recent = new RecentBlocks()
    this.#ingest = new IngestRole(context, recent)
    this.#fill = new FillRole(context)
    this.#apply = new ApplyRole(context, recent)
  }

  /** Partitions of sources and keyed logs, and keyed logs being filled, that stopped for good (see `IngestRole.stopped` and `ApplyRole.stopped`). */
  get stopped(): ReadonlyMap<string, TidemarkError> {
    return new Map([...this.#ingest.stopped, ...this.#fill.stopped, ...this.#apply.stopped])
  }

  /** Whether the ingest of some source waits for apply or archive. */
  get isHeldBack(): boolean {
    return this.#ingest.isHeldBack
  }

  /** One fetch of every source, then of every keyed partition. Returns how much moved; 0: everything that was appended is in the store, unless ingest is held back. */
  async runOnce(): Promise<number> {
    if (this.#published === null) {
      await forgetStopped(this.#metadata, 'stream')
      this.#published = new Set()
    }
    const ingested = await this.#ingest.runOnce()
    const filled = await this.#fill.runOnce()
    const applied = await this.#apply.runOnce({ hold: this.#ingest.isBehind })
    await this.#apply.sweep()
    await publishStopped(this.#metadata, 'stream', this.stopped, this.#published)
    return ingested + filled + applied
  }

  /** Flushes what was applied: a successor then has nothing to repeat. */
  async settle(): Promise<void> {
    await this.#apply.settle()
  }
}
