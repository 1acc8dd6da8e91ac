import { mkdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { gitState, openProject } from '../../cli/open-project.ts'
import type { Project } from '../../cli/open-project.ts'
import { drain, runRoles } from '../../cli/run-roles.ts'
import { serve } from '../../cli/serve.ts'
import { holdStartSocket, isRunning } from '../../cli/start-socket.ts'
import { stopSignal } from '../../cli/stop-signal.ts'
import { FeatureReader } from '../../inference/assemble.ts'
import { exportTrainingSet } from '../../offline/export.ts'
import { verifyServed } from '../../offline/verify.ts'
import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import { columnValue } from '../../features/values/column.ts'
import type { FieldPlan } from '../../features/plan/field-type.ts'
import { importFiles } from '../../streams/import-files.ts'
import { produce } from '../../streams/produce.ts'
import { waitUntilCaughtUp } from '../../streams/wait.ts'
import { sqlText } from '../../stores/tables/tables.ts'
import { failCli } from '../../cli/errors.ts'

/*
 * The main job on real data: import history, stream June 2001 as live events, serve features, export a training set, verify what was served.
 * `--fast` starts the history in mid-May.
 */
const FOLDER = import.meta.dirname
const LIVE_STEP_MS = 1000
const PACKAGE = createRequire(import.meta.url).resolve('vega-datasets')
const FLIGHTS = join(
  PACKAGE.slice(0, PACKAGE.lastIndexOf('vega-datasets')),
  'vega-datasets',
  'data',
  'flights-3m.parquet',
)
const NUMBER: Omit<FieldPlan, 'name'> = { type: { kind: 'float64' }, nullable: false, nonFinite: 'reject' }

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** History (landed before June) and live events as Parquet, with the landing time: date + delay + 30 min + 1 min per 8 miles. */
async function prepare(
  project: Project,
  historyFrom: string,
): Promise<{ history: string; live: string; spine: string }> {
  const folder = join(project.dataFolder, 'input')
  mkdirSync(folder, { recursive: true })
  const paths = {
    history: join(folder, 'history.parquet'),
    live: join(folder, 'live.parquet'),
    spine: join(folder, 'spine.parquet'),
  }
  await project.tables.execute(`CREATE OR REPLACE VIEW flights AS
    SELECT (row_number() OVER ())::INTEGER AS flight_id, origin, destination, hour(date)::INTEGER AS hour, distance::DOUBLE AS distance, delay::DOUBLE AS delay,
      date::TIMESTAMP AS scheduled, date::TIMESTAMP + to_minutes((delay + 30 + distance // 8)::BIGINT) AS landed_at
    FROM read_parquet(${sqlText(FLIGHTS)})`)
  const live = `landed_at >= TIMESTAMP '2001-06-01'`
  await project.tables.execute(
    `COPY (SELECT * FROM flights WHERE NOT (${live}) AND scheduled >= TIMESTAMP '${historyFrom}' ORDER BY landed_at, flight_id) TO ${sqlText(paths.history)} (FORMAT parquet)`,
  )
  await project.tables.execute(
    `COPY (SELECT * FROM flights WHERE ${live} ORDER BY landed_at, flight_id) TO ${sqlText(paths.live)} (FORMAT parquet)`,
  )
  await project.tables
    .execute(`COPY (SELECT origin, destination, distance, hour, scheduled AS timestamp, delay AS label FROM flights
    WHERE scheduled >= TIMESTAMP '2001-05-24' AND scheduled < TIMESTAMP '2001-05-31' AND flight_id % 37 = 0 ORDER BY flight_id LIMIT 10000) TO ${sqlText(paths.spine)} (FORMAT parquet)`)
  return paths
}

/** Produces each flight when the simulated clock reaches its landing, until aborted. */
async function streamLive(project: Project, file: string, signal: AbortSignal): Promise<void> {
  const fields: FieldPlan[] = [
    ...['flight_id', 'hour', 'distance', 'delay'].map((name) => ({ ...NUMBER, name })),
    ...['origin', 'destination'].map((name): FieldPlan => ({ ...NUMBER, name, type: { kind: 'string' } })),
    ...['scheduled', 'landed_at'].map((name): FieldPlan => ({ ...NUMBER, name, type: { kind: 'timestamp' } })),
  ]
  let due: string[] = []
  for await (const { rows, columns } of project.tables.readColumns(file, fields)) {
    for (let row = 0; row < rows; row++) {
      const event = Object.fromEntries(fields.map(({ name }, i) => [name, columnValue(columns[i], row)]))
      while (Number(event.landed_at) > project.now() && !signal.aborted) {
        if (due.length > 0) await produce(project, 'flights', due)
        due = []
        await pause(LIVE_STEP_MS / 4, undefined, { signal }).catch(() => {})
      }
      if (signal.aborted) return
      due.push(JSON.stringify(event))
    }
  }
  await produce(project, 'flights', due)
}

async function askForVectors(url: string): Promise<void> {
  const entities = ['ORD', 'ATL', 'DFW', 'LAX', 'SFO'].map((origin) => ({ origin, destination: 'DEN' }))
  const request = entities.map(() => ({ distance: 900, hour: 9 }))
  const response = await fetch(`${url}/v1/features/delay_risk`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ entities, request }),
  })
  if (!response.ok) throw new Error(`the server answered ${response.status}: ${await response.text()}`)
}

async function main(): Promise<void> {
  const fast = process.argv.includes('--fast')
  const dataFolder = join(FOLDER, '.tidemark')
  if (await isRunning(dataFolder))
    throw failCli('TM_ALREADY_RUNNING', 'the flights example runs already: stop it with Ctrl-C in its terminal first')
  rmSync(dataFolder, { recursive: true, force: true })
  const signal = stopSignal()
  const started = performance.now()
  const seconds = (): string => `${((performance.now() - started) / 1000).toFixed(1).padStart(5)} s`
  const project = await openProject(FOLDER)
  try {
    const socket = await holdStartSocket(project.dataFolder)
    const { changes } = await project.registry.apply(FOLDER, project.now(), gitState(FOLDER))
    say(`${seconds()}  registered ${changes.length} definitions`)
    const input = await prepare(project, fast ? '2001-05-22' : '2001-01-01')
    const { accepted, refused } = await importFiles(project, 'flights', [input.history], { arrival: 'landed_at' })
    say(`${seconds()}  imported ${accepted} flights that had landed before June (${refused} refused)`)
    await drain(project)
    say(`${seconds()}  computed the state of every airport, route and airport-hour, and archived the history`)
    const server = await serve(project, Number(process.env.PORT ?? project.port))
    const roles = runRoles(project, ['stream', 'archive'], signal)
    const live = streamLive(project, input.live, signal)
    say(`${seconds()}  serving on ${server.url}; June 2001 streams in, a day a minute`)
    const out = join(dataFolder, 'training.parquet')
    const manifest = await exportTrainingSet(project, { service: 'delay_risk', spine: input.spine, out })
    say(`${seconds()}  exported ${manifest.rows} training rows (each as of its departure) to ${out}`)
    for (let i = 0; i < 5 && !signal.aborted; i++) {
      await askForVectors(server.url)
      await pause(300)
    }
    await pause(2 * LIVE_STEP_MS)
    await waitUntilCaughtUp(project, 10_000, signal).catch(() => {})
    const report = await verifyServed(project)
    say(
      `${seconds()}  verified ${report.rows} served vectors (${report.values} values) against the archive: ${report.mismatches.length} mismatches`,
    )
    const names = FeatureReader.names(await project.registry.service('delay_risk'))
    say(`\nA vector of delay_risk has ${names.length} values. Try, in another terminal:`)
    say(
      `  curl -s ${server.url}/v1/features/delay_risk -H 'content-type: application/json' -d '{"entities":[{"origin":"ORD","destination":"DEN"}],"request":[{"distance":888,"hour":9}]}'`,
    )
    say(
      '  npm run -s tidemark -- --project examples/flights get delay_risk origin=ORD destination=DEN distance=888 hour=9',
    )
    say('  npm run -s tidemark -- --project examples/flights verify')
    say('  npm run -s tidemark -- --project examples/flights status')
    say('Ctrl-C stops.')
    await Promise.all([roles, live])
    await server.stop()
    socket.close()
  } finally {
    await project.close()
  }
}

try {
  await main()
} catch (error) {
  if (!isTidemarkError(error)) throw error
  process.stderr.write(`${error.code}: ${error.message}\n`)
  process.exitCode = 1
}
