import { sourceLogName } from '../features/plan/source-plan.ts'
import type { TidemarkError } from '../features/errors/tidemark-error.ts'
import { ApplyRole } from './apply/apply-role.ts'
import { FillRole } from './feeds/fill-role.ts'
import { BackPressure } from './ingest/back-pressure.ts'
import { IngestRole } from './ingest/ingest.ts'
import { RecentBlocks } from './blocks/recent-blocks.ts'
import { forgetStopped, publishStopped } from './stopped-partitions.ts'
import { usedSources } from './stream-context.ts'
import type { StreamContext } from './stream-context.ts'
import { FILLS, OWNS_ALL, partOf, sourcePart } from './workers/ownership.ts'
import { streamParts } from './workers/parts.ts'
import type { WorkerGroup } from './workers/worker-group.ts'

/** Source topics → keyed logs → online states, in one loop. While ingest lies behind, states are flushed only now and then: fewer, larger writes. */
export class StreamRole {
  readonly #ingest: IngestRole
  readonly #fill: FillRole
  readonly #apply: ApplyRole
  readonly #context: StreamContext
  readonly #group: WorkerGroup | null
  /** What other processes were told of `stopped`; null: nothing yet. */
  #published: Set<string> | null = null

  /** `group`: the workers who share the work; without one this process does it all. */
  constructor(context: StreamContext, group: WorkerGroup | null = null) {
    this.#context = context
    this.#group = group
    const ownership = group ?? OWNS_ALL
    const recent = new RecentBlocks()
    this.#ingest = new IngestRole(context, recent, new BackPressure(context), ownership)
    this.#fill = new FillRole(context)
    this.#apply = new ApplyRole(context, recent, ownership)
  }

  /** Partitions of sources and keyed logs, and keyed logs being filled, that stopped for good (see `IngestRole.stopped` and `ApplyRole.stopped`). */
  get stopped(): ReadonlyMap<string, TidemarkError> {
    return new Map([...this.#ingest.stopped, ...this.#fill.stopped, ...this.#apply.stopped])
  }

  /** Source versions, and keyed logs being filled, that wait for the schema registry, each with the cause. */
  get waiting(): ReadonlyMap<string, TidemarkError> {
    return new Map([...this.#ingest.waiting, ...this.#fill.waiting])
  }

  /** Whether the ingest of some source waits for apply or archive. */
  get isHeldBack(): boolean {
    return this.#ingest.isHeldBack
  }

  /** One fetch of every source, then of every keyed partition. Returns how much moved; 0: everything that was appended is in the store, unless ingest is held back. */
  async runOnce(): Promise<number> {
    const { metadata } = this.#context
    const moved = await this.#turn()
    if (this.#published === null) {
      if (this.#group === null) await forgetStopped(metadata, 'stream')
      this.#published = new Set()
    }
    const ingested = await this.#ingest.runOnce()
    const filled = this.#group?.owns(FILLS) === false ? 0 : await this.#fill.runOnce()
    const applied = await this.#apply.runOnce({ hold: this.#ingest.isBehind })
    await this.#apply.sweep()
    await publishStopped(metadata, 'stream', this.stopped, this.#published)
    return moved + ingested + filled + applied
  }

  /** Flushes what was applied: a successor then has nothing to repeat. */
  async settle(): Promise<void> {
    await this.#apply.settle()
  }

  /** Settles and gives up what is to be another worker's, and takes on what is to be this one's. Returns how much that was. */
  async #turn(): Promise<number> {
    if (this.#group === null) return 0
    let parts: readonly string[] = []
    const letGo = async (leaving: readonly string[]): Promise<void> => {
      await this.#apply.letGo(leaving)
      const parts = new Set(leaving)
      const sources = (await usedSources(this.#context)).map(sourceLogName)
      this.#ingest.letGo(sources.filter((source) => parts.has(sourcePart(source))))
      for (const name of this.#published ?? []) if (parts.has(partOf(name))) this.#published?.delete(name)
    }
    const taken = await this.#group.turn(async () => (parts = await streamParts(this.#context)), letGo)
    if (taken.length === 0) return 0
    const isNew = new Set(taken)
    const isKnown = new Set(parts)
    // Who does the fills speaks for what is no part of anybody.
    await forgetStopped(
      this.#context.metadata,
      'stream',
      (name) => isNew.has(partOf(name)) || (isNew.has(FILLS) && !isKnown.has(partOf(name))),
    )
    return taken.length
  }
}
