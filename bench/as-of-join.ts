import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Project } from '../cli/open-project.ts'
import { sqlText } from '../stores/tables/tables.ts'
import type { BenchPart, BenchResult } from './bench-result.ts'
import { openArchiveProject, versionedFolder } from './offline/archive-project.ts'
import { besidePeers, exportOnce, fastest, flightsFile, resultHash } from './offline/export-runs.ts'

const FIELDS = Array.from({ length: 10 }, (_, i) => `f${i}`)
const REPEATS = 3
const GOAL = 1

const DEFINITIONS = `import { entity, featureService, featureView, latest, stream, t } from 'tidemark'
export const measurements = stream('measurements', {
  schema: { route: t.string(), scheduled: t.timestamp(), ${FIELDS.map((name) => `${name}: t.float64().nullable()`).join(', ')} },
  eventTime: 'scheduled',
})
export const route = entity('route', { route: t.string() })
export const newest = featureView('newest', {
  entity: route,
  from: measurements,
  features: { ${FIELDS.map((name) => `${name}: latest('${name}')`).join(', ')} },
})
export const training = featureService('training', { features: [newest.all()] })
`

interface Inputs {
  readonly folder: string
  readonly project: Project
  readonly events: string
  readonly spine: string
}

/** Ten numbers of each real flight, one of them null now and then, by route and scheduled time; a spine of flights in random order, some before their route's first. */
async function prepare(smoke: boolean): Promise<Inputs> {
  const folder = versionedFolder('as-of-join', smoke)
  const generated = FIELDS.slice(2, 9).map((name, i) => `(hash(id, ${i}) % 1000000 / 1000)::DOUBLE AS ${name}`)
  const file = flightsFile()
  const limit = smoke ? 'LIMIT 20000' : ''
  const flights = `SELECT row_number() OVER () AS id, *, origin || '-' || destination AS route FROM read_parquet(${sqlText(file)}) ${limit}`
  const measured = `SELECT id, route, date, delay::DOUBLE AS f0, distance::DOUBLE AS f1, ${generated.join(', ')}, CASE WHEN hash(id) % 20 > 0 THEN (hash(id, 9) % 1000)::DOUBLE END AS f9 FROM (${flights})`
  const project = await openArchiveProject({
    folder: join(folder, 'project'),
    definitions: DEFINITIONS,
    keys: `SELECT DISTINCT origin || '-' || destination AS route FROM read_parquet(${sqlText(file)})`,
    slices: [
      `SELECT route, epoch_ms(date) AS scheduled, ${FIELDS.join(', ')}, epoch_ms(date) AS "__event_time", epoch_ms(date) AS "__arrival" FROM (${measured}) ORDER BY date, id`,
    ],
  })
  const inputs = { folder, project, events: join(folder, 'events.parquet'), spine: join(folder, 'spine.parquet') }
  if (existsSync(inputs.spine)) return inputs
  await project.tables.execute(
    `COPY (SELECT id, route, date AS timestamp, ${FIELDS.join(', ')} FROM (${measured}) ORDER BY date, id) TO ${sqlText(inputs.events)} (FORMAT parquet, COMPRESSION zstd)`,
  )
  await project.tables.execute(
    `COPY (SELECT id AS spine_id, route, date AS timestamp FROM (${flights}) ORDER BY hash(id) LIMIT ${smoke ? 5000 : 1_000_000}) TO ${sqlText(inputs.spine)} (FORMAT parquet, COMPRESSION zstd)`,
  )
  return inputs
}

const compared = FIELDS.map((name) => ({ name: `newest__${name}`, peer: `b.${name}` }))

/**
 * The newest of 3 million real flights before each of 1 million spine rows, ten columns, archive Parquet to output Parquet, beside polars `join_asof` and
 * DuckDB's ASOF join on the same machine; every cell must be the same.
 */
export async function run({ smoke }: { smoke: boolean }): Promise<BenchResult> {
  const inputs = await prepare(smoke)
  const { folder, project, events, spine } = inputs
  const out = join(folder, 'ours.parquet')
  try {
    const ours = fastest(() => exportOnce(join(folder, 'project'), spine, out), smoke ? 1 : REPEATS)
    const repeats: Record<string, number> = smoke ? {} : { polars: REPEATS, duckdb: REPEATS }
    const { tables } = project
    const comparison = { tables, folder, script: 'as-of-peer.py', events, spine, out, compared, repeats }
    const parts = await besidePeers(ours, comparison)
    const worst = parts.reduce<BenchPart | null>(
      (held, part) => (held === null || part.ratio < held.ratio ? part : held),
      null,
    )
    return {
      name: 'as-of-join',
      unit: 's',
      ours: ours.seconds,
      peer: worst?.peer ?? ours.seconds,
      peerName: worst?.name ?? 'goal',
      ratio: worst?.ratio ?? 1,
      goal: GOAL,
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
