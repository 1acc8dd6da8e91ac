import { keyedLogName } from '../registry/keyed-logs.ts'
import type { CompiledView } from '../features/kernel/compiled-view.ts'
import { wholeArchive } from '../stores/tables/archive-files.ts'
import type { ArchiveProgress } from '../stores/tables/archive-layout.ts'
import { failOffline } from './errors.ts'
import type { OfflineContext } from './offline-context.ts'
import type { AsOf, PinnedPositions } from './manifest.ts'

/** End positions by keyed partition: the newest archived, or those given, which must belong to the same logs. TM_POSITIONS_UNKNOWN. */
export async function pinPositions(
  context: OfflineContext,
  views: readonly CompiledView[],
  given: PinnedPositions | undefined,
): Promise<PinnedPositions> {
  const progress = await context.metadata.listProgress<ArchiveProgress>('archive')
  const positions: Record<string, number> = {}
  const incarnations: Record<string, string> = {}
  let completeUntil = Infinity
  for (const { plan } of views) {
    const keyedLog = keyedLogName(plan.source, plan.entity)
    incarnations[keyedLog] = (await context.log.topic(`keyed.${keyedLog}`))?.incarnation ?? ''
    for (let partition = 0; partition < context.partitions; partition++) {
      const held = progress.get(`${keyedLog}/${partition}`)
      if (held !== undefined) await wholeArchive(context, { keyedLog, incarnation: incarnations[keyedLog], partition })
      positions[`${keyedLog}/${partition}`] = held?.nextOffset ?? 0
      completeUntil = Math.min(completeUntil, held?.completeUntil ?? 0)
    }
  }
  if (given === undefined) return { positions, incarnations, completeUntil }
  const unknown = Object.keys(positions).find(
    (key) =>
      !(given.positions[key] <= positions[key]) ||
      given.incarnations[key.slice(0, key.lastIndexOf('/'))] !== incarnations[key.slice(0, key.lastIndexOf('/'))],
  )
  if (unknown !== undefined)
    throw failOffline(
      'TM_POSITIONS_UNKNOWN',
      `the archive of ${unknown} does not reach the position of the manifest, or is of another log: export without positions, or restore the archive`,
      {
        details: { partition: unknown },
      },
    )
  const of = <T>(from: Readonly<Record<string, T>>, keys: Readonly<Record<string, unknown>>): Record<string, T> =>
    Object.fromEntries(Object.keys(keys).map((key) => [key, from[key]]))
  return { positions: of(given.positions, positions), incarnations, completeUntil: given.completeUntil }
}

/** Refuses rows later than what is known to be archived completely. */
export function refuseLateRows(t: Float64Array, { completeUntil }: PinnedPositions, asOf: AsOf): void {
  if (asOf === 'event-time') return
  const late = t.findIndex((time) => time > completeUntil)
  if (late < 0) return
  throw failOffline(
    'TM_SPINE_TOO_LATE',
    `spine row ${late + 1} is at ${describeTime(t[late])}, the archive is complete until ${new Date(completeUntil).toISOString()}: wait, or leave later rows out`,
    { details: { row: late + 1, completeUntil } },
  )
}

/** ISO-8601; a number that is no time of a calendar says what it should be. */
function describeTime(ms: number): string {
  if (Math.abs(ms) <= 8.64e15) return new Date(ms).toISOString()
  return `${ms} (beyond any time in epoch milliseconds: are these microseconds or nanoseconds?)`
}
