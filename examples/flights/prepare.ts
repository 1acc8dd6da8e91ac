import { mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { openTables } from '../../stores/tables/open-tables.ts'
import { sqlText } from '../../stores/tables/tables.ts'
import { columnValue } from '../../features/values/column.ts'

const PACKAGE = createRequire(import.meta.url).resolve('vega-datasets')
const FLIGHTS = join(
  PACKAGE.slice(0, PACKAGE.lastIndexOf('vega-datasets')),
  'vega-datasets',
  'data',
  'flights-3m.parquet',
)
/** The first moment that is live. */
const LIVE_FROM = '2001-06-01'

export interface InputFiles {
  /** Flights that had landed before June. */
  readonly history: string
  /** The others, by landing time, one JSON object a line. */
  readonly live: string
  /** Departures of late May, with the delay that they came to have as `label`. */
  readonly spine: string
}

/**
 * Writes the three input files from the flights of the first half of 2001. A flight's result is known when it lands; the data does not say when that is, so it is
 * estimated: scheduled departure + delay + 30 minutes + 1 minute per 8 miles.
 */
export async function prepareInput(folder: string, historyFrom: string): Promise<InputFiles> {
  mkdirSync(folder, { recursive: true })
  const files = {
    history: join(folder, 'history.parquet'),
    live: join(folder, 'live.jsonl'),
    spine: join(folder, 'spine.parquet'),
  }
  const tables = await openTables({ temporaryFolder: join(folder, 'duckdb') })
  try {
    await tables.execute(`CREATE VIEW flights AS
      SELECT file_row_number::INTEGER AS flight_id, origin, destination, hour(date)::INTEGER AS hour, distance::DOUBLE AS distance, delay::DOUBLE AS delay,
        date::TIMESTAMP AS scheduled, date::TIMESTAMP + to_minutes((delay + 30 + distance // 8)::BIGINT) AS landed_at
      FROM read_parquet(${sqlText(FLIGHTS)}, file_row_number = true)`)
    await tables.execute(`COPY (
      SELECT * FROM flights WHERE landed_at < TIMESTAMP '${LIVE_FROM}' AND scheduled >= TIMESTAMP '${historyFrom}' ORDER BY landed_at, flight_id
    ) TO ${sqlText(files.history)} (FORMAT parquet)`)
    await tables.execute(`COPY (
      SELECT origin, destination, distance, hour, scheduled AS timestamp, delay AS label FROM flights
      WHERE scheduled >= TIMESTAMP '2001-05-24' AND scheduled < TIMESTAMP '2001-05-31' AND flight_id % 37 = 0 ORDER BY flight_id LIMIT 10000
    ) TO ${sqlText(files.spine)} (FORMAT parquet)`)
    await tables.execute(`COPY (
      SELECT * REPLACE (epoch_ms(scheduled) AS scheduled, epoch_ms(landed_at) AS landed_at) FROM flights
      WHERE landed_at >= TIMESTAMP '${LIVE_FROM}' ORDER BY landed_at, flight_id
    ) TO ${sqlText(files.live)} (FORMAT json)`)
  } finally {
    await tables.close()
  }
  return files
}

/** How many rows of the two exports differ, and the largest difference of a mean in words. */
export async function compareExports(
  folder: string,
  honest: string,
  leaking: string,
): Promise<{ rows: number; differ: number; example: string }> {
  const tables = await openTables({ temporaryFolder: join(folder, 'duckdb') })
  try {
    await tables.execute(`CREATE VIEW pairs AS
      SELECT a.origin, a.timestamp, a.origin_delays__delay_mean_1h AS known, b.origin_delays__delay_mean_1h AS leaked,
        a.origin_delays__flights_1h AS known_flights, b.origin_delays__flights_1h AS leaked_flights
      FROM read_parquet(${sqlText(honest)}) a POSITIONAL JOIN read_parquet(${sqlText(leaking)}) b`)
    const [rows] = await texts(tables, 'SELECT count(*) FROM pairs')
    const [differ] = await texts(tables, 'SELECT count(*) FROM pairs WHERE known IS DISTINCT FROM leaked')
    const [example = ''] = await texts(
      tables,
      `SELECT format('{} at {}: {} flights of the last hour had landed (mean delay {:.1f} min), an event-time join counts {} (mean {:.1f})',
         origin, strftime(timestamp, '%d %B %H:%M'), known_flights, known, leaked_flights, leaked)
       FROM pairs WHERE known IS NOT NULL AND leaked IS NOT NULL ORDER BY abs(leaked - known) DESC, origin, timestamp LIMIT 1`,
    )
    return { rows: Number(rows), differ: Number(differ), example }
  } finally {
    await tables.close()
  }
}

async function texts(tables: Awaited<ReturnType<typeof openTables>>, sql: string): Promise<string[]> {
  const field = { name: 'text', type: { kind: 'string' }, nullable: true, nonFinite: 'reject' } as const
  const { columns, rows } = await tables.queryAll(`SELECT (${sql})::VARCHAR AS text`, [field])
  return Array.from({ length: rows }, (_, row) => String(columnValue(columns[0], row)))
}
