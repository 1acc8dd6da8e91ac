import type { FlushOutcome, ViewMove } from '../../stores/online/online-store.ts'
import type { StreamContext } from '../../streams/stream-context.ts'
import type { Random } from './random.ts'

/** What a process that was killed throws: nothing after it happens. */
export class Crash extends Error {}

/** Kills a process before its n-th operation on a store, of any kind or of one, and mixes its operations with those of others at random. */
export class Fuse {
  readonly #random: Random
  #left = Infinity
  #aim: string | null = null
  /** The operation before which the process died. */
  struck: string | null = null

  constructor(random: Random) {
    this.#random = random
  }

  /** The process dies before its n-th operation from now on. */
  light(operations: number): void {
    this.#left = operations
    this.#aim = null
  }

  /** The process dies before its n-th operation of this name from now on. */
  aim(operation: string, number: number): void {
    this.#left = number
    this.#aim = operation
  }

  /** A list in one piece or several, in order. */
  *pieces<T>(list: readonly T[]): Iterable<readonly T[]> {
    for (let from = 0; from < list.length;) {
      const length = this.#random.below(2) === 0 ? list.length - from : 1 + this.#random.below(list.length - from)
      yield list.slice(from, (from += length))
    }
  }

  async burn(operation: string): Promise<void> {
    for (let turns = this.#random.below(4); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve))
    if (this.#aim !== null && this.#aim !== operation) return
    if (this.#left-- > 0) return
    this.struck = operation
    throw new Crash('killed')
  }
}

const OPERATIONS = {
  log: ['append', 'appendAll', 'read', 'endOffset', 'createTopic', 'rewrite'],
  online: ['claim', 'flush', 'read', 'markers', 'join', 'leave', 'claimBackfill', 'drop', 'rewrite'],
  metadata: ['readProgress', 'writeProgress'],
  objects: ['createFromFile', 'list', 'delete'],
  registry: ['keyedLogs', 'serviceAliases', 'moveServingAlias'],
} as const

/** The same stores, with a fuse before each operation; joins and leaves happen bucket by bucket and flushes in pieces, as the port allows. */
export function faultyContext(context: StreamContext, fuse: Fuse): StreamContext {
  const online = faulty(context.online, OPERATIONS.online, fuse)
  const oneByOne = async (name: 'join' | 'leave', moves: readonly ViewMove[]): Promise<FlushOutcome[]> => {
    const outcomes: FlushOutcome[] = []
    for (const move of moves) outcomes.push(...(await online[name]([move])))
    return outcomes
  }
  return {
    ...context,
    log: faulty(context.log, OPERATIONS.log, fuse),
    online: overriding(online, {
      flush: async (flushes) => {
        const outcomes: FlushOutcome[] = []
        for (const piece of fuse.pieces(flushes)) outcomes.push(...(await online.flush(piece)))
        return outcomes
      },
      join: (moves) => oneByOne('join', moves),
      leave: (moves) => oneByOne('leave', moves),
    }),
    metadata: faulty(context.metadata, OPERATIONS.metadata, fuse),
    objects: faulty(context.objects, OPERATIONS.objects, fuse),
    registry: faulty(context.registry, OPERATIONS.registry, fuse),
  }
}

function overriding<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, { get: (_, name): unknown => Reflect.get(methods, name) ?? Reflect.get(target, name) })
}

function faulty<T extends object>(target: T, operations: readonly (keyof T)[], fuse: Fuse): T {
  return new Proxy(target, {
    get: (_, name) => {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (!operations.includes(name as keyof T)) return value.bind(target) as unknown
      return async (...args: unknown[]): Promise<unknown> => {
        await fuse.burn(String(name))
        return (await Reflect.apply(value, target, args)) as unknown
      }
    },
  })
}
