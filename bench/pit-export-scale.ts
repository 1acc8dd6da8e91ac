import { existsSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { Project } from '../cli/open-project.ts'
import { columnValue } from '../features/values/column.ts'
import type { FieldPlan } from '../features/plan/field-type.ts'
import { sqlText } from '../stores/tables/tables.ts'
import type { BenchResult } from './bench-result.ts'
import { openArchiveProject, versionedFolder } from './offline/archive-project.ts'
import { exportOnce, resultHash } from './offline/export-runs.ts'
import type { PeerRun } from './offline/peers.ts'

const MEMORY_MB = 2048
/** Events of one slice of the archive that is being made. */
const SLICE = 10_000_000
const BYTES_PER_EVENT = 60
const DAY = 86_400_000
const START = Date.UTC(2024, 0, 1)
const DAYS = 30
const EVENTS_PER_USER = 500
const WINDOWS = [
  ['1h', 3_600_000],
  ['24h', DAY],
  ['7d', 7 * DAY],
] as const
const AGGREGATIONS = ['count', 'sum', 'max'] as const
const CHECKED_ROWS = 1000

const DEFINITIONS = `import { count, entity, featureService, featureView, max, stream, sum, t } from 'tidemark'
export const clicks = stream('clicks', { schema: { user: t.string(), amount: t.float64(), clicked: t.timestamp() }, eventTime: 'clicked' })
export const user = entity('user', { user: t.string() })
export const activity = featureView('activity', {
  entity: user,
  from: clicks,
  features: {
${WINDOWS.flatMap(([w]) => AGGREGATIONS.map((a) => `    ${a}_${w}: ${a}(${a === 'count' ? '' : "'amount'"}).over('${w}', { hop: '1m' }),`)).join('\n')}
  },
})
export const training = featureService('training', { features: [activity.all()] })
`

interface Inputs {
  readonly folder: string
  readonly project: Project
  readonly spine: string
  readonly events: number
  readonly rows: number
}

function say(text: string): void {
  console.log(`${new Date().toISOString().slice(11, 19)} ${text}`)
}

/** Events evenly over 30 days, of random users; sums of their amounts are exact in any order. The same in every run. */
function eventsSql(from: number, to: number, events: number): string {
  const at = `${START} + (i * ${DAYS * DAY}) // ${events}`
  return `SELECT 'u' || (hash(i) % ${usersOf(events)}) AS user, (hash(i, 1) % 40000)::DOUBLE / 4 - 1000 AS amount, (${at})::BIGINT AS clicked FROM range(${from}, ${to}) r(i)`
}

function usersOf(events: number): number {
  return Math.ceil(events / EVENTS_PER_USER)
}

/** Made once: an archive of generated events, and a spine of a tenth as many rows in random order. */
async function prepare(root: string, events: number): Promise<Inputs> {
  const folder = join(root, `${events}`)
  const rows = events / 10
  const { bavail, bsize } = statfsSync(root)
  if (!existsSync(join(folder, 'spine.parquet')) && bavail * bsize < events * BYTES_PER_EVENT)
    throw new Error(`${events} events need ${Math.ceil((events * BYTES_PER_EVENT) / 1e9)} GB of disk in ${root}`)
  say(`${events} events × ${rows} rows: inputs in ${folder}`)
  const slices = Array.from({ length: Math.ceil(events / SLICE) }, (_, slice) => {
    const made = eventsSql(slice * SLICE, Math.min(events, (slice + 1) * SLICE), events)
    return `SELECT *, clicked AS "__event_time", clicked AS "__arrival" FROM (${made}) ORDER BY clicked`
  })
  const project = await openArchiveProject({
    folder: join(folder, 'project'),
    definitions: DEFINITIONS,
    keys: `SELECT 'u' || i AS user FROM range(${usersOf(events)}) r(i)`,
    slices,
    onSlice: (slice) => say(`archived slice ${slice + 1} of ${slices.length}`),
  })
  const spine = join(folder, 'spine.parquet')
  if (!existsSync(spine)) {
    const time = `${START} + (hash(i, 3) % ${DAYS * DAY})::BIGINT`
    await project.tables.execute(
      `COPY (SELECT i AS spine_id, 'u' || (hash(i, 2) % ${usersOf(events)}) AS user, make_timestamp(1000 * (${time})) AS timestamp FROM range(${rows}) r(i)) TO ${sqlText(spine)} (FORMAT parquet, COMPRESSION zstd)`,
    )
    say('spine written')
  }
  return { folder, project, spine, events, rows }
}

const NUMBER: FieldPlan = { name: 'n', type: { kind: 'float64' }, nullable: true, nonFinite: 'null' }

/** Cells of some rows that differ from what a join of SQL finds in the events; none may. */
async function differingFromSql({ project, events, rows }: Inputs, out: string): Promise<number> {
  const made = eventsSql(0, events, events)
  const sample = `SELECT * REPLACE (epoch_ms(timestamp) AS timestamp) FROM ${sqlText(out)} WHERE hash(spine_id, 4) % ${Math.max(1, Math.floor(rows / CHECKED_ROWS))} = 0`
  const lows = WINDOWS.map(([, ms]) => `((s.timestamp - ${ms}) // 60000) * 60000`)
  const cells = WINDOWS.flatMap(([w], i) => [
    `count(e.clicked) FILTER (e.clicked >= ${lows[i]}) IS DISTINCT FROM any_value(s.activity__count_${w})`,
    `sum(e.amount) FILTER (e.clicked >= ${lows[i]}) IS DISTINCT FROM any_value(s.activity__sum_${w})`,
    `max(e.amount) FILTER (e.clicked >= ${lows[i]}) IS DISTINCT FROM any_value(s.activity__max_${w})`,
  ])
  const sql = `SELECT sum(bad)::DOUBLE FROM (SELECT ${cells.map((cell) => `(${cell})::INTEGER`).join(' + ')} AS bad FROM (${sample}) s
    LEFT JOIN (SELECT * FROM (${made}) WHERE user IN (SELECT user FROM (${sample}))) e ON e.user = s.user AND e.clicked < s.timestamp AND e.clicked >= ${lows[2]} GROUP BY s.spine_id)`
  const found = await project.tables.queryAll(sql, [NUMBER])
  return Number(columnValue(found.columns[0], 0))
}

async function measured(root: string, events: number): Promise<PeerRun & { readonly hash: string }> {
  const inputs = await prepare(root, events)
  const out = join(inputs.folder, 'ours.parquet')
  try {
    say('exporting')
    const run = exportOnce(join(inputs.folder, 'project'), inputs.spine, out, String(MEMORY_MB * 2 ** 20))
    say(`${run.seconds.toFixed(1)} s, ${run.peakMb} MB; checking ${CHECKED_ROWS} rows by SQL`)
    const cells = await differingFromSql(inputs, out)
    if (cells > 0) throw new Error(`${cells} cells of ${CHECKED_ROWS} rows differ from SQL`)
    const names = WINDOWS.flatMap(([w]) => AGGREGATIONS.map((a) => `activity__${a}_${w}`))
    return { ...run, hash: await resultHash(inputs.project.tables, out, names) }
  } finally {
    await inputs.project.close()
  }
}

/**
 * 100 million generated events × 10 million spine rows within 2 GB resident, and a tenth of both: the cost must grow no faster than the input. The peer is
 * the goal: ten times the time of the tenth, and 2 GB. Some rows are checked against SQL.
 */
export async function run({ smoke }: { smoke: boolean }): Promise<BenchResult> {
  const root = versionedFolder('pit-export-scale', smoke)
  const large = smoke ? 40_000 : 100_000_000
  const small = await measured(root, large / 10)
  const whole = await measured(root, large)
  const parts = [
    { name: 'time, beside ten times that of a tenth', unit: 's', ours: whole.seconds, peer: 10 * small.seconds },
    { name: 'peak resident memory', unit: 'MB', ours: whole.peakMb, peer: MEMORY_MB },
  ].map((part) => ({ ...part, ratio: part.peer / part.ours }))
  return {
    name: 'pit-export-scale',
    unit: 's',
    ours: whole.seconds,
    peer: 10 * small.seconds,
    peerName: 'goal',
    ratio: Math.min(...parts.map(({ ratio }) => ratio)),
    goal: 0.9,
    hash: whole.hash,
    settings: { smoke, events: large, rows: large / 10, tenthSeconds: small.seconds, tenthPeakMb: small.peakMb },
    parts,
  }
}
