import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import type { Lease, Leases } from '../../stores/metadata/leases.ts'
import { assignParts } from './assign-parts.ts'
import type { Part } from './assign-parts.ts'
import type { Ownership } from './ownership.ts'

/** A worker that has not renewed its leases for so long is taken for gone. */
export const WORKER_LEASE_MS = 10_000
/** Renewals in the length of a lease, and looks in the same time while something is on its way from one worker to another. */
const BEATS = 5
const HASTY_BEATS = 40
/** What is kept of workers that ended without a word. */
const ENDED_MS = 60_000

export type WorkerKind = 'stream' | 'archive'

/** What a worker says of itself. */
export interface AboutWorker {
  readonly host: string
  readonly pid: number
  /** When its process began, as its system says it; null: not known. */
  readonly process: string | null
  /** Epoch ms, of its host. */
  readonly since: number
}

export interface WorkerGroupOptions {
  readonly leases: Leases
  readonly kind: WorkerKind
  /** Nobody else has it, ever. */
  readonly id: string
  readonly about: AboutWorker
  /** Whether another worker's process is known to have ended: its leases need not be waited for. */
  readonly isGone?: (about: AboutWorker) => boolean
  readonly leaseMs?: number
  /** Monotonic, ms. Default: the process's. */
  readonly clock?: () => number
}

const membersOf = (kind: WorkerKind): string => `${kind}-workers`
const partsOf = (kind: WorkerKind): string => `${kind}-parts`

/**
 * A worker's share of the parts of a role. Workers are those with a lease on their own name; all compute the same division (`assignParts`) from what the metadata store holds. A part that is to move is settled and let go of by who has it, and
 * taken by who is to have it once it is free, or the lease on it has ended. All this keeps workers out of each other's way; that nothing counts twice where two believe that they own a part is the business of
 * epochs (apply), of names that exist once (archive), and of origins (ingest).
 */
export class WorkerGroup implements Ownership {
  readonly #options: WorkerGroupOptions
  readonly #leaseMs: number
  readonly #clock: () => number
  #held = new Set<Part>()
  #members: readonly string[] = []
  #parts: readonly Lease[] = []
  #beatAt = -Infinity
  /** What was taken (true) and let go of since the beat under way began: it may have read what was before. */
  readonly #changed = new Map<Part, boolean>()
  /** Something may have to move. */
  #isDue = true
  /** Something is waited for. */
  #isHasty = false
  #timer: NodeJS.Timeout | undefined
  #beating: Promise<void> | null = null
  #isClosed = false

  constructor(options: WorkerGroupOptions) {
    this.#options = options
    this.#leaseMs = options.leaseMs ?? WORKER_LEASE_MS
    this.#clock = options.clock ?? (() => performance.now())
  }

  owns(part: Part): boolean {
    return this.#held.has(part)
  }

  get held(): ReadonlySet<Part> {
    return this.#held
  }

  /** From now on leases are renewed whatever the process is at, as long as its event loop turns. */
  start(): void {
    const beats = this.#isHasty ? HASTY_BEATS : BEATS
    this.#timer = setTimeout(() => {
      // The next turn tells what the matter is.
      void this.beat()
        .catch(() => {})
        .finally(() => {
          if (!this.#isClosed) this.start()
        })
    }, this.#leaseMs / beats).unref()
  }

  /** Renews what this worker has, joins where it is no member, and looks who else there is, and what this one has lost. */
  beat(): Promise<void> {
    this.#beating ??= this.#beat().finally(() => (this.#beating = null))
    return this.#beating
  }

  /**
   * Between two steps of the role: gives parts up that are to go to others, each once `letGo` has settled it, and takes those that are to come. `all`: every part that there is. Returns those taken.
   * A process that was stopped for longer than a lease learns here what it has lost.
   */
  async turn(all: () => Promise<readonly Part[]>, letGo: (parts: readonly Part[]) => Promise<void>): Promise<Part[]> {
    if (this.#clock() - this.#beatAt >= this.#leaseMs / 2) await this.beat()
    if (!this.#isDue || this.#isClosed) return []
    const { leases, kind, id } = this.#options
    this.#isDue = false
    try {
      const parts = await all()
      const assigned = assignParts(this.#members, parts, new Map(this.#parts.map(({ name, holder }) => [name, holder])))
      const wanted = parts.filter((part) => assigned.get(part) === id)
      const leaving = [...this.#held].filter((part) => assigned.get(part) !== id)
      if (leaving.length > 0) {
        await letGo(leaving)
        for (const part of leaving) {
          this.#held.delete(part)
          this.#changed.set(part, false)
          await leases.release(partsOf(kind), part, id)
        }
      }
      const missing = wanted.filter((part) => !this.#held.has(part))
      const taken = await leases.hold(partsOf(kind), missing, id, { ms: this.#leaseMs })
      for (const part of taken) {
        this.#held.add(part)
        this.#changed.set(part, true)
      }
      this.#isHasty = taken.length < missing.length
      return taken
    } catch (error) {
      this.#isDue = true
      throw error
    }
  }

  /** Lets go of everything: others need not wait. What was applied is to be settled before. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#beating?.catch(() => {})
    this.#held.clear()
    try {
      await this.#options.leases.releaseAll(this.#options.id)
    } catch (error) {
      // Then they end by themselves.
      if (!isTidemarkError(error) || error.disposition !== 'retry') throw error
    }
  }

  async #beat(): Promise<void> {
    const { leases, kind, id, about } = this.#options
    const began = this.#clock()
    this.#changed.clear()
    await leases.renew(id, this.#leaseMs)
    let members = await this.#living()
    if (!members.includes(id)) {
      await leases.hold(membersOf(kind), [id], id, { ms: this.#leaseMs, data: JSON.stringify(about) })
      members = await this.#living()
    }
    const parts = await leases.list(partsOf(kind))
    const own = new Set(parts.filter(({ holder }) => holder === id).map(({ name }) => name))
    for (const [part, isTaken] of this.#changed)
      if (isTaken) own.add(part)
      else own.delete(part)
    this.#held = own
    this.#members = members
    this.#parts = parts
    this.#beatAt = began
    this.#isDue = true
  }

  /** Workers whose lease has not ended. Those whose processes are known to be gone leave at once. */
  async #living(): Promise<string[]> {
    const { leases, kind, id, isGone = () => false } = this.#options
    const living: string[] = []
    let ended = false
    for (const { name, data, leftMs } of await leases.list(membersOf(kind))) {
      if (leftMs <= 0) ended = true
      else if (name !== id && isGone(JSON.parse(data) as AboutWorker)) await leases.releaseAll(name)
      else living.push(name)
    }
    if (ended) await leases.sweep(membersOf(kind), ENDED_MS)
    return living
  }
}

/** Who has a part. */
export interface PartOwner {
  readonly kind: WorkerKind
  readonly part: Part
  readonly worker: string
  readonly about: AboutWorker | null
  /** Its lease has ended, and nobody has taken the part. */
  readonly hasEnded: boolean
}

/** Every part that a worker has, or had last. */
export async function readPartOwners(leases: Leases): Promise<PartOwner[]> {
  const owners: PartOwner[] = []
  for (const kind of ['stream', 'archive'] as const) {
    const members = new Map((await leases.list(membersOf(kind))).map(({ name, data }) => [name, data]))
    for (const { name, holder, leftMs } of await leases.list(partsOf(kind))) {
      const data = members.get(holder)
      const about = data === undefined ? null : (JSON.parse(data) as AboutWorker)
      owners.push({ kind, part: name, worker: holder, about, hasEnded: leftMs <= 0 })
    }
  }
  return owners
}

/** Workers of a kind whose leases have not ended. */
export async function livingWorkers(leases: Leases, kind: WorkerKind): Promise<readonly AboutWorker[]> {
  const members = await leases.list(membersOf(kind))
  return members.filter(({ leftMs }) => leftMs > 0).map(({ data }) => JSON.parse(data) as AboutWorker)
}
