import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Project } from '../cli/open-project.ts'
import { sqlText } from '../stores/tables/tables.ts'
import type { BenchResult } from './bench-result.ts'
import { openArchiveProject, versionedFolder } from './offline/archive-project.ts'
import { besidePeers, exportOnce, fastest, flightsFile, resultHash } from './offline/export-runs.ts'

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
  const folder = versionedFolder('pit-export', smoke)
  const file = flightsFile()
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

/** An absent count of a peer is a 0. */
const compared = WINDOWS.flatMap((w) =>
  AGGREGATIONS.map((a) => ({
    name: `delays__${a}_${w}`,
    peer: a === 'count' ? `coalesce(b.${a}_${w}, 0)` : `b.${a}_${w}`,
  })),
)

/**
 * A training export of 3 million real flights × 1 million spine rows: count, sum, mean, min and max of the delay per origin over 1 h, 24 h and 7 d, archive
 * Parquet to output Parquet, beside polars and DuckDB on the same machine; every cell must be the same.
 */
export async function run({ smoke }: { smoke: boolean }): Promise<BenchResult> {
  const inputs = await prepare(smoke)
  const { folder, spine, events, project } = inputs
  const out = join(folder, 'ours.parquet')
  try {
    const ours = fastest(() => exportOnce(join(folder, 'project'), spine, out), smoke ? 1 : REPEATS)
    const repeats: Record<string, number> = smoke ? {} : { polars: REPEATS, duckdb: 1 }
    const { tables } = project
    const comparison = { tables, folder, script: 'windows-peer.py', events, spine, out, compared, repeats }
    const parts = await besidePeers(ours, comparison)
    const peer = parts[0]?.peer ?? ours.seconds
    return {
      name: 'pit-export',
      unit: 's',
      ours: ours.seconds,
      peer,
      peerName: smoke ? 'goal' : 'polars',
      ratio: parts[0]?.ratio ?? 1,
      goal: POLARS_GOAL,
      hash: await resultHash(
        project.tables,
        out,
        compared.map(({ name }) => name),
      ),
      settings: { smoke, repeats: smoke ? 1 : REPEATS, peakMb: ours.peakMb },
      parts,
    }
  } finally {
    await project.close()
  }
}
