import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openProject } from '../../cli/open-project.ts'
import { drain } from '../../cli/run-roles.ts'
import { importFiles } from '../../streams/imports/import-files.ts'
import { sqlText } from '../../stores/tables/tables.ts'

export interface FlightsProject {
  readonly folder: string
  /** `origin-destination` of every route flown on the last day. */
  readonly routes: readonly { readonly origin: string; readonly destination: string }[]
  remove(): void
}

/** A project filled with the last month (in smoke mode: the last day) of real flights, in embedded stores. */
export async function fillFlightsProject(smoke: boolean): Promise<FlightsProject> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-feature-read-'))
  cpSync(join(import.meta.dirname, 'project'), folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  const project = await openProject(folder)
  try {
    await project.registry.apply(folder, project.now())
    const file = join(folder, 'flights.parquet')
    const { resolve } = createRequire(import.meta.url)
    const data = join(resolve('vega-datasets'), '..', '..', 'data', 'flights-3m.parquet')
    const from = smoke ? '2001-06-30' : '2001-06-01'
    await project.tables.execute(
      `COPY (SELECT origin, destination, distance::DOUBLE AS distance, delay::DOUBLE AS delay, date FROM read_parquet(${sqlText(data)})
       WHERE date >= TIMESTAMP '${from}' AND date < TIMESTAMP '2001-06-30 23:00:00' ORDER BY date, origin, destination, delay) TO ${sqlText(file)} (FORMAT parquet)`,
    )
    await importFiles(project, 'flights', [file], { arrival: 'event-time' })
    await drain(project)
    const text = { type: { kind: 'string' }, nullable: false, nonFinite: 'reject' } as const
    const { rows, columns } = await project.tables.queryAll(
      `SELECT DISTINCT origin, destination FROM read_parquet(${sqlText(file)}) WHERE date >= TIMESTAMP '2001-06-30' ORDER BY 1, 2`,
      [
        { name: 'origin', ...text },
        { name: 'destination', ...text },
      ],
    )
    const [origin, destination] = columns.map((column) => {
      if (column.storage !== 'string') throw new Error('routes are text')
      return (row: number) => column.dictionary[column.codes[row]]
    })
    const routes = Array.from({ length: rows }, (_, row) => ({ origin: origin(row), destination: destination(row) }))
    return { folder, routes, remove: () => rmSync(folder, { recursive: true, force: true }) }
  } finally {
    await project.close()
  }
}
