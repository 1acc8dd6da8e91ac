import { isAfter } from '../blocks/origin-filter.ts'
import type { Sequence } from '../blocks/block.ts'

/** Where events of one origin stand that one append sent to one partition. */
export interface Piece {
  readonly origin: string
  readonly from: Sequence
  readonly to: Sequence
  /** Events. */
  readonly rows: number
  /** Epoch ms. */
  readonly appendTime: number
}

/** Pieces whose sequences overlap: their events go together, in the order of their sequences. */
export interface PieceGroup<P extends Piece> {
  readonly origin: string
  readonly pieces: readonly P[]
  readonly time: number
}

interface Group<P extends Piece> extends PieceGroup<P> {
  readonly pieces: P[]
  to: Sequence
  time: number
  placed: boolean
}

/** The groups of one origin, and how many of them are placed. */
interface OriginGroups<P extends Piece> {
  readonly groups: readonly Group<P>[]
  placed: number
}

/**
 * The order in which what stands in several partitions was appended, as far as it can be told: per origin by sequence, always; per partition as it stands
 * there; otherwise by time. `free` are pieces that stand in no partition. Sequences of one origin ascend within each partition.
 */
export function orderPieces<P extends Piece>(partitions: readonly (readonly P[])[], free: readonly P[]): Group<P>[] {
  const origins = groupPieces([...partitions.flat(), ...free])
  const groupOf = new Map<P, Group<P>>()
  for (const { groups } of origins.values())
    for (const group of groups) for (const piece of group.pieces) groupOf.set(piece, group)
  const isFree = new Set(free)
  /** Pieces of each group that wait in partitions. */
  const waiting = new Map<Group<P>, number>()
  for (const group of new Set(groupOf.values()))
    waiting.set(group, group.pieces.filter((piece) => !isFree.has(piece)).length)
  const heads = partitions.map(() => 0)
  const ordered: Group<P>[] = []
  for (let left = waiting.size; left > 0; left--) {
    const reached = reachedPieces(partitions, heads, groupOf)
    let best: Group<P> | null = null
    let bestIsReady = false
    for (const { groups, placed } of origins.values()) {
      const next = groups.at(placed)
      if (placed === groups.length || next === undefined) continue
      // Where clocks went back and forth no group may be ready: then the order of the origins alone counts.
      const isReady = (reached.get(next) ?? 0) === waiting.get(next)
      if (best === null || (isReady && !bestIsReady) || (isReady === bestIsReady && next.time < best.time)) {
        best = next
        bestIsReady = isReady
      }
    }
    if (best === null) break
    ordered.push(best)
    best.placed = true
    const origin = origins.get(best.origin)
    if (origin !== undefined) origin.placed++
    partitions.forEach((pieces, p) => {
      while (heads[p] < pieces.length && groupOf.get(pieces[heads[p]])?.placed === true) heads[p]++
    })
  }
  return ordered
}

/** How many pieces of each group stand at the heads of their partitions. */
function reachedPieces<P extends Piece>(
  partitions: readonly (readonly P[])[],
  heads: readonly number[],
  groupOf: ReadonlyMap<P, Group<P>>,
): Map<Group<P>, number> {
  const reached = new Map<Group<P>, number>()
  partitions.forEach((pieces, p) => {
    const group = heads[p] < pieces.length ? groupOf.get(pieces[heads[p]]) : undefined
    if (group === undefined) return
    let run = 0
    while (heads[p] + run < pieces.length && groupOf.get(pieces[heads[p] + run]) === group) run++
    reached.set(group, (reached.get(group) ?? 0) + run)
  })
  return reached
}

function groupPieces<P extends Piece>(pieces: readonly P[]): Map<string, OriginGroups<P>> {
  const byOrigin = Map.groupBy(pieces, ({ origin }) => origin)
  const origins = new Map<string, OriginGroups<P>>()
  for (const [origin, own] of byOrigin) {
    own.sort((a, b) => a.from.offset - b.from.offset || a.from.index - b.from.index)
    const groups: Group<P>[] = []
    for (const piece of own) {
      const last = groups.at(-1)
      if (last === undefined || isAfter(piece.from.offset, piece.from.index, last.to))
        groups.push({ origin, pieces: [piece], to: piece.to, time: piece.appendTime, placed: false })
      else {
        last.pieces.push(piece)
        last.time = Math.min(last.time, piece.appendTime)
        if (isAfter(piece.to.offset, piece.to.index, last.to)) last.to = piece.to
      }
    }
    origins.set(origin, { groups, placed: 0 })
  }
  return origins
}
