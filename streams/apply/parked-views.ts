import type { CompiledView } from '../../features/kernel/compiled-view.ts'
import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import { keyedLogOf } from '../../registry/keyed-logs.ts'
import { KeyedPartition } from './keyed-partition.ts'
import { bucketsOf } from './partition-worker.ts'
import { keyedTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

const SCOPE = 'parked'
/** How long states are kept that no name reaches any more: a rollback within that time finds them. */
export const STATE_GRACE_MS = 7 * 86_400_000

/** A view version that neither a view's name nor a service that is served or registered reaches. Times: epoch ms of the deployment's clock. */
export interface ParkedVersion {
  readonly view: string
  readonly version: string
  readonly since: number
  /** When its states go; of one whose states are gone, when they went. */
  readonly dropAt: number
  readonly dropped: boolean
}

/** Progress scope `parked`, by version. `since` null: it was parked, and is reached again. */
interface ParkedProgress {
  readonly since: number | null
  readonly droppedAt: number | null
}

/**
 * Drops the states of view versions that have been out of reach for longer than the grace period. Each bucket goes in one change that checks the version's own marker: a version
 * that is reached again meanwhile is claimed by its new owner, and what is left of it is kept. Killed in the middle, the rest goes the next time.
 */
export class ParkedViews {
  readonly #context: StreamContext
  readonly #graceMs: number

  constructor(context: StreamContext, graceMs: number) {
    this.#context = context
    this.#graceMs = graceMs
  }

  /** Looks once. Returns the versions whose states went. */
  async runOnce(): Promise<ParkedVersion[]> {
    const { registry, metadata, log } = this.#context
    const held = await metadata.listProgress<ParkedProgress>(SCOPE)
    const reachable = await reachableVersions(this.#context)
    const now = Math.floor(log.now())
    const dropped: ParkedVersion[] = []
    for (const { name, version } of await registry.viewVersions()) {
      const known = held.get(version) ?? { since: null, droppedAt: null }
      if (reachable.has(version)) {
        if (known.since !== null) await metadata.writeProgress(SCOPE, version, { since: null, droppedAt: null })
        continue
      }
      if (known.droppedAt !== null) continue
      const since = known.since ?? now
      if (known.since === null) await metadata.writeProgress(SCOPE, version, { since, droppedAt: null })
      if (now - since < this.#graceMs) continue
      if (!(await this.#drop(await registry.view(version)))) continue
      await metadata.writeProgress(SCOPE, version, { since, droppedAt: now })
      dropped.push({ view: name, version, since, dropAt: now, dropped: true })
    }
    return dropped
  }

  /** Whether nothing is left. */
  async #drop(view: CompiledView): Promise<boolean> {
    const { online, log, partitions } = this.#context
    const keyedLog = keyedLogOf(view)
    if ((await log.topic(keyedTopic(keyedLog))) === null) return true
    for (let partition = 0; partition < partitions; partition++) {
      if (!(await this.#leaveLive(view, partition))) return false
      const buckets = bucketsOf(this.#context, partition)
      const markers = await online.markers(keyedLog, buckets, view.version)
      const parked = markers.flatMap((marker, i) =>
        marker === null ? [] : [{ keyedLog, bucket: buckets[i], view: view.version, epoch: marker.epoch }],
      )
      const outcomes = await online.drop(parked)
      if (outcomes.some((outcome) => outcome !== 'applied')) return false
    }
    return true
  }

  /** A version may still be in the live set of a keyed log that nothing reads any more, and nobody owns: then it leaves first. */
  async #leaveLive(view: CompiledView, partition: number): Promise<boolean> {
    const { online, registry } = this.#context
    const keyedLog = keyedLogOf(view)
    const markers = await online.markers(keyedLog, bucketsOf(this.#context, partition))
    const sets = await Promise.all(markers.map((marker) => registry.viewSets.read(marker?.views ?? '')))
    if (!sets.some((set) => set.has(view.version))) return true
    // With an owner its own next claim lets the version go.
    if ((await registry.keyedLogs()).some(({ name }) => name === keyedLog)) return false
    const { source, entity } = view.plan
    try {
      await KeyedPartition.claim(this.#context, { name: keyedLog, source, entity, views: [] }, partition)
      return true
    } catch (error) {
      if (isTidemarkError(error) && error.code === 'TM_STREAM_FENCED') return false
      throw error
    }
  }
}

/** What is out of reach, the newest first. */
export async function reportParkedViews(context: StreamContext, graceMs: number): Promise<ParkedVersion[]> {
  const held = await context.metadata.listProgress<ParkedProgress>(SCOPE)
  const names = new Map((await context.registry.viewVersions()).map(({ name, version }) => [version, name]))
  return [...held]
    .flatMap(([version, { since, droppedAt }]): ParkedVersion[] => {
      if (since === null) return []
      const view = names.get(version) ?? ''
      return [{ view, version, since, dropAt: droppedAt ?? since + graceMs, dropped: droppedAt !== null }]
    })
    .sort((a, b) => b.since - a.since || (a.version < b.version ? -1 : 1))
}

async function reachableVersions({ registry }: StreamContext): Promise<Set<string>> {
  const keyedLogs = await registry.keyedLogs()
  return new Set(keyedLogs.flatMap(({ views }) => views.map(({ version }) => version)))
}
