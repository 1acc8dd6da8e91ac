import { STATUS } from '../aggregation/result-column.ts'
import type { ResultColumn } from '../aggregation/result-column.ts'
import { readsNewest, withoutValue } from './event-references.ts'
import type { EventReferences } from './event-references.ts'
import { NumberSlides, slidesNumbers } from './number-slides.ts'
import type { Column } from '../values/column.ts'
import { NewestEvents } from './newest-events.ts'
import { isMissing, settleRow } from './rules.ts'
import { SlotSweep } from './slot-sweep.ts'
import { createResultColumns } from './view-kernel.ts'
import type { PreparedBatch, ViewKernel } from './view-kernel.ts'
import { TrackTiles } from './track-tiles.ts'

/** Events and evaluations of many entities ("groups"), each group a contiguous range of both. */
export interface SweepInput {
  /** Events by group, each group in the order in which they become visible. */
  readonly prepared: PreparedBatch
  readonly groups: number
  /** groups + 1 offsets into the events. */
  readonly eventStart: Int32Array
  /** groups + 1 offsets into the rows. */
  readonly rowStart: Int32Array
  /** Per row: how many of its group's events are visible; non-decreasing within a group. */
  readonly visible: Int32Array
  /** Per row: evaluation time, epoch ms, greater than every visible τ. Fastest where non-decreasing within a group. */
  readonly t: Float64Array
  /** Per row: the row of the result; absent: its own number. */
  readonly place?: Int32Array
  /** Where the batch's columns were taken from, if they were: event i is row `rows[i]`. What few rows read is then not put in order before. */
  readonly origin?: { readonly columns: readonly Column[]; readonly rows: Int32Array }
  /** With `origin`: features whose values are not copied, see `referenceSets`; their columns of `out` are not used. */
  readonly references?: EventReferences
}

/**
 * Point-in-time evaluation by replay: each group's events are applied in order and its rows are evaluated in between. The same values, bit for bit, as
 * a streamed state: counts, sums of doubles, min and max slide over typed arrays (exact or not at all, see `number-slides.ts`); `last` and `latest` read
 * the newest event (see `newest-events.ts`); all else, and what is not exact there, runs on the streamed state's own cells, merges and readers. Cost: O(events + rows) per slot and window while t does not go down
 * within a group; events that become visible late cost up to a window's tiles each where a kind has no inverse. Returns one column per feature: `out`,
 * whose rows must be as they are made, not null and PRESENT.
 */
export function sweep(
  kernel: ViewKernel,
  input: SweepInput,
  out: ResultColumn[] = createResultColumns(kernel.view, input.t.length),
): ResultColumn[] {
  const place = input.place ?? Int32Array.from(input.t, (_, row) => row)
  const numbers = new NumberSlides(kernel, input, place, out)
  const newest = new NewestEvents(kernel, input, place, out)
  const sweeps = kernel.tracks.map((track) => ({
    tiles: new TrackTiles(track, input),
    slots: track.slots.map((slot) => ({
      slot,
      sweep: new SlotSweep(kernel, slot, input, place, out),
      number: slidesNumbers(kernel, slot),
      newest: readsNewest(slot),
    })),
  }))
  for (let group = 0; group < input.groups; group++) {
    if (input.rowStart[group] === input.rowStart[group + 1]) continue
    const ascending = isAscending(input.t, input.rowStart[group], input.rowStart[group + 1])
    if (ascending) numbers.openGroup(group)
    for (const { tiles, slots } of sweeps) {
      tiles.openGroup(group)
      for (const { slot, sweep: cells, number, newest: isNewest } of slots) {
        if (isNewest) newest.run(slot, tiles.track.hopMs, group)
        else if (!number || !ascending || !numbers.run(slot, tiles)) cells.run(group, tiles)
      }
    }
  }
  settle(kernel, input, place, out)
  return out
}

function isAscending(values: Float64Array, from: number, to: number): boolean {
  for (let i = from + 1; i < to; i++) if (values[i] < values[i - 1]) return false
  return true
}

/** Row by row only where a status can still change: missing or expired rows, features with rules or a default. */
function settle(kernel: ViewKernel, input: SweepInput, place: Int32Array, out: readonly ResultColumn[]): void {
  const newest = newestVisibleTau(input, input.prepared)
  const { ttlMs, features } = kernel.view.plan
  const decides = features.some((feature, f) => feature.default !== null || kernel.rules[f] !== null)
  const references = [...new Set(input.references)].flatMap((rows) => rows ?? [])
  for (let row = 0; row < newest.length; row++) {
    const t = input.t[row]
    const missing = isMissing(kernel, newest[row], t)
    const gone = missing || (ttlMs !== null && newest[row] < t - ttlMs)
    if (decides || gone) settleRow(kernel, newest[row], t, out, place[row])
    if (gone) for (const rows of references) rows[place[row]] = withoutValue(missing ? STATUS.MISSING : STATUS.EXPIRED)
  }
}

/** Per row: the newest τ of its visible events that passed `where`, −Infinity without one. */
export function newestVisibleTau(input: SweepInput, prepared: PreparedBatch): Float64Array {
  const newest = newestTauSoFar(input, prepared)
  const { eventStart, rowStart, visible, groups } = input
  const found = new Float64Array(visible.length)
  for (let group = 0; group < groups; group++) {
    const before = eventStart[group] - 1
    for (let row = rowStart[group]; row < rowStart[group + 1]; row++)
      found[row] = visible[row] === 0 ? -Infinity : newest[before + visible[row]]
  }
  return found
}

/** Per event: the newest τ of its group's selected events up to it; the events' own τ where that is the same. */
function newestTauSoFar({ groups, eventStart }: SweepInput, { batch, selected }: PreparedBatch): Float64Array {
  const { tau } = batch
  let inOrder = selected === null
  for (let group = 0; inOrder && group < groups; group++)
    inOrder = isAscending(tau, eventStart[group], eventStart[group + 1])
  if (inOrder) return tau
  const newest = new Float64Array(tau.length)
  for (let group = 0; group < groups; group++) {
    let best = -Infinity
    for (let event = eventStart[group]; event < eventStart[group + 1]; event++) {
      if (tau[event] > best && (selected === null || selected[event] === 1)) best = tau[event]
      newest[event] = best
    }
  }
  return newest
}
