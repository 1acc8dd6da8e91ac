import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Project } from '../cli/open-project.ts'
import { columnValue } from '../features/values/column.ts'
import type { FieldPlan } from '../features/plan/field-type.ts'
import { sqlText } from '../stores/tables/tables.ts'
import type { BenchPart, BenchResult } from './bench-result.ts'
import { cacheFolder, openArchiveProject } from './offline/archive-project.ts'
import { runPeer } from './offline/peers.ts'
import type { PeerRun } from './offline/peers.ts'

const WINDOWS = ['1h', '24h', '7d'] as const
const AGGREGATIONS = ['count', 'sum', 'mean', 'min', 'max'] as const
const POLARS_GOAL = 1.3
const REPEATS = 3

const DEFINITIONS = `import { count, entity, featureService, featureView, max, mean, min, stream, sum, t } from 'tidemark'
export const flights = stream('flights', {
  schema: { origin: t.string(), destination: t.string(), distance: t.float64(), delay: t.float64(), scheduled: t.timestamp() },
  eventTime: 'scheduled',
})
export const origin = entity('origin', { origin: t.string() })
export const delays = featureView('delays', {
  entity: origin,
  from: flights,
  features: {
${WINDOWS.flatMap((w) => AGGREGATIONS.map((a) => `    ${a}_${w}: ${a}(${a === 'count' ? '' : "'delay'"}).over('${w}', { hop: '1m' }),`)).join('\n')}
  },
})
export const training = featureService('training', { features: [delays.all()] })
`

interface Inputs {
  readonly folder: string
  readonly project: Project
  readonly events: string
  readonly spine: string
}

/** The real flights as an archive in arrival order, the same events as one Parquet file for the peers, and a spine in random order. */
async function prepare(smoke: boolean): Promise<Inputs> {
  const folder = cacheFolder('pit-export', smoke ? 'smoke' : 'full')
  const packageFile = createRequire(import.meta.url).resolve('vega-datasets')
  const file = join(
    packageFile.slice(0, packageFile.lastIndexOf('vega-datasets')),
    'vega-datasets',
    'data',
    'flights-3m.parquet',
  )
  const flights = `SELECT row_number() OVER () AS id, * FROM read_parquet(${sqlText(file)}) ${smoke ? 'LIMIT 20000' : ''}`
  const project = await openArchiveProject({
    folder: join(folder, 'project'),
    definitions: DEFINITIONS,
    keys: `SELECT DISTINCT origin FROM read_parquet(${sqlText(file)})`,
    slices: [
      `SELECT origin, destination, distance::DOUBLE AS distance, delay::DOUBLE AS delay, epoch_ms(date) AS scheduled, epoch_ms(date) AS "__event_time",
        epoch_ms(date) + 60000 * (delay + 30 + distance // 8) AS "__arrival" FROM (${flights}) ORDER BY "__arrival", id`,
    ],
  })
  const inputs = { folder, project, events: join(folder, 'events.parquet'), spine: join(folder, 'spine.parquet') }
  if (existsSync(inputs.spine)) return inputs
  await project.tables.execute(
    `COPY (SELECT origin, date AS timestamp, delay::DOUBLE AS delay FROM (${flights})) TO ${sqlText(inputs.events)} (FORMAT parquet, COMPRESSION zstd)`,
  )
  await project.tables.execute(
    `COPY (SELECT id AS spine_id, origin, date AS timestamp FROM (${flights}) ORDER BY hash(id) LIMIT ${smoke ? 5000 : 1_000_000}) TO ${sqlText(inputs.spine)} (FORMAT parquet, COMPRESSION zstd)`,
  )
  return inputs
}

/** Fresh processes, the fastest of `repeats`: imports do not count, compilation of hot code does. */
function fastest(run: () => PeerRun, repeats: number): PeerRun {
  return Array.from({ length: repeats }, run).reduce((best, next) => (next.seconds < best.seconds ? next : best))
}

function exportOnce({ folder, spine }: Inputs): PeerRun {
  const script = join(import.meta.dirname, 'offline', 'export-process.ts')
  const args = [
    '--disable-warning=ExperimentalWarning',
    script,
    join(folder, 'project'),
    'training',
    spine,
    join(folder, 'ours.parquet'),
  ]
  return JSON.parse(
    execFileSync(process.execPath, args, { encoding: 'utf8' }).trim().split('\n').at(-1) ?? '',
  ) as PeerRun
}

const NUMBER: FieldPlan = { name: 'n', type: { kind: 'float64' }, nullable: true, nonFinite: 'null' }

/** Cells that differ, null against a value included; none may. An absent count of the peer is a 0. */
async function differing({ project, folder }: Inputs, peer: string): Promise<number> {
  const cells = WINDOWS.flatMap((w) =>
    AGGREGATIONS.map((a) => {
      const other = a === 'count' ? `coalesce(b.${a}_${w}, 0)` : `b.${a}_${w}`
      return `count(*) FILTER (a.delays__${a}_${w} IS DISTINCT FROM ${other})`
    }),
  )
  const ours = sqlText(join(folder, 'ours.parquet'))
  const sql = `SELECT ((SELECT count(*) FROM ${ours}) - count(*) + ${cells.join(' + ')})::DOUBLE FROM ${ours} a JOIN ${sqlText(join(folder, `${peer}.parquet`))} b USING (spine_id)`
  const { columns } = await project.tables.queryAll(sql, [NUMBER])
  return Number(columnValue(columns[0], 0))
}

/** Of all cells in spine order. */
async function resultHash({ project, folder }: Inputs): Promise<string> {
  const names = WINDOWS.flatMap((w) => AGGREGATIONS.map((a) => `delays__${a}_${w}`))
  const fields = names.map((name) => ({ ...NUMBER, name }))
  const hash = createHash('sha256')
  const sql = `SELECT ${names.map((name) => `${name}::DOUBLE`).join(', ')} FROM ${sqlText(join(folder, 'ours.parquet'))}`
  for await (const { columns } of project.tables.queryColumns(sql, fields))
    for (const column of columns) if (column.storage === 'number') hash.update(column.values).update(column.nulls ?? '')
  return hash.digest('hex')
}

function partOf(name: string, ours: number, peer: number): BenchPart {
  return { name, unit: 's', ours, peer, ratio: peer / ours }
}

/**
 * A training export of 3 million real flights × 1 million spine rows: count, sum, mean, min and max of the delay per origin over 1 h, 24 h and 7 d, archive
 * Parquet to output Parquet, beside polars and DuckDB on the same machine; every cell must be the same.
 */
export async function run({ smoke }: { smoke: boolean }): Promise<BenchResult> {
  const inputs = await prepare(smoke)
  const parts: BenchPart[] = []
  try {
    const ours = fastest(() => exportOnce(inputs), smoke ? 1 : REPEATS)
    const peers = smoke ? [] : (['polars', 'duckdb'] as const)
    for (const peer of peers) {
      const args = [
        'windows-peer.py',
        peer,
        inputs.events,
        inputs.spine,
        join(inputs.folder, `${peer}.parquet`),
      ] as const
      const theirs = fastest(() => runPeer(...args), peer === 'polars' ? REPEATS : 1)
      const cells = await differing(inputs, peer)
      if (cells > 0) throw new Error(`${cells} cells differ from ${peer}`)
      parts.push(partOf(peer, ours.seconds, theirs.seconds))
      console.log(
        `${peer}: ${theirs.seconds.toFixed(2)} s, ${theirs.peakMb} MB; Tidemark: ${ours.seconds.toFixed(2)} s, ${ours.peakMb} MB; all cells equal`,
      )
    }
    const peer = parts[0]?.peer ?? ours.seconds
    return {
      name: 'pit-export',
      unit: 's',
      ours: ours.seconds,
      peer,
      peerName: smoke ? 'goal' : 'polars',
      ratio: parts[0]?.ratio ?? 1,
      goal: POLARS_GOAL,
      hash: await resultHash(inputs),
      settings: { smoke, repeats: smoke ? 1 : REPEATS, peakMb: ours.peakMb },
      parts,
    }
  } finally {
    await inputs.project.close()
  }
}
