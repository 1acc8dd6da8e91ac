/** What is divided among workers, as `<group>/<number>` or `<group>:<name>/<number>`: the parts of a group are spread over the workers. */
export type Part = string

/**
 * Which worker has which part. Everybody who knows the same computes the same: every part has one worker; no worker has two more than another; of the parts that `previous` gives to workers who are still there, as few
 * move as that allows; and the parts of a group lie with different workers as far as that costs no move. `previous` may name workers and parts that are gone.
 */
export function assignParts(
  workers: readonly string[],
  parts: readonly Part[],
  previous: ReadonlyMap<Part, string>,
): Map<Part, string> {
  const loads = [...new Set(workers)].sort().map((worker) => new Load(worker))
  if (loads.length === 0) return new Map()
  const byWorker = new Map(loads.map((load) => [load.worker, load]))
  const all = [...new Set(parts)].sort(byNumber)
  const free: Part[] = []
  for (const part of all) {
    const load = byWorker.get(previous.get(part) ?? '')
    if (load === undefined) free.push(part)
    else load.add(part)
  }
  // One part more than the others have those who have most already: so the fewest move.
  const least = Math.floor(all.length / loads.length)
  const over = all.length % loads.length
  loads.toSorted((a, b) => b.size - a.size).forEach((load, i) => (load.room = least + (i < over ? 1 : 0)))
  for (const load of loads) while (load.size > load.room) free.push(load.giveUp())
  for (const part of free.sort(byNumber)) {
    const group = groupOf(part)
    const open = loads.filter(({ size, room }) => size < room)
    open.reduce((a, b) => ((a.of(group) - b.of(group) || a.size - b.size) <= 0 ? a : b)).add(part)
  }
  return new Map(loads.flatMap((load) => load.parts.map((part) => [part, load.worker] as const)))
}

class Load {
  readonly worker: string
  readonly #groups = new Map<string, Part[]>()
  size = 0
  room = 0

  constructor(worker: string) {
    this.worker = worker
  }

  get parts(): Part[] {
    return [...this.#groups.values()].flat()
  }

  of(group: string): number {
    return this.#groups.get(group)?.length ?? 0
  }

  add(part: Part): void {
    const group = groupOf(part)
    this.#groups.set(group, [...(this.#groups.get(group) ?? []), part])
    this.size++
  }

  /** Of the group that it has most of, the last part; where several are as large, of the last group. */
  giveUp(): Part {
    const groups = [...this.#groups.values()]
    const part = groups.reduce((most, group) => (group.length >= most.length ? group : most)).pop()
    if (part === undefined) throw new Error('a worker without parts gives none up')
    this.size--
    return part
  }
}

const groupOf = (part: Part): string => part.slice(0, part.lastIndexOf('/')).split(':')[0]

/** Neighbours in this order are of different groups, so that those who take turns get some of each. */
function byNumber(a: Part, b: Part): number {
  return Number(a.slice(a.lastIndexOf('/') + 1)) - Number(b.slice(b.lastIndexOf('/') + 1)) || (a < b ? -1 : 1)
}
