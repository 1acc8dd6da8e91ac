import type { TidemarkError } from '../features/errors/tidemark-error.ts'
import { ApplyRole } from './apply-role.ts'
import { FillRole } from './fill-role.ts'
import { IngestRole } from './ingest.ts'
import { RecentBlocks } from './recent-blocks.ts'
import type { StreamContext } from './stream-context.ts'

/** Source topics → keyed logs → online states, in one loop. While ingest lies behind, states are flushed only now and then: fewer, larger writes. */
export class StreamRole {
  readonly #ingest: IngestRole
  readonly #fill: FillRole
  readonly #apply: ApplyRole

  constructor(context: StreamContext) {
    const recent = new RecentBlocks()
    this.#ingest = new IngestRole(context, recent)
    this.#fill = new FillRole(context)
    this.#apply = new ApplyRole(context, recent)
  }

  /** Partitions of sources and keyed logs, and keyed logs being filled, that stopped for good (see `IngestRole.stopped` and `ApplyRole.stopped`). */
  get stopped(): ReadonlyMap<string, TidemarkError> {
    return new Map([...this.#ingest.stopped, ...this.#fill.stopped, ...this.#apply.stopped])
  }

  /** One fetch of every source, then of every keyed partition. Returns how much moved; 0: everything that was appended is in the store. */
  async runOnce(): Promise<number> {
    const ingested = await this.#ingest.runOnce()
    const filled = await this.#fill.runOnce()
    const applied = await this.#apply.runOnce({ hold: this.#ingest.isBehind })
    await this.#apply.sweep()
    return ingested + filled + applied
  }

  /** Flushes what was applied: a successor then has nothing to repeat. */
  async settle(): Promise<void> {
    await this.#apply.settle()
  }
}
