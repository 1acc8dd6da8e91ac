import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { columnValue } from '../../features/values/column.ts'
import type { FieldPlan } from '../../features/plan/field-type.ts'
import { sqlText } from '../../stores/tables/tables.ts'
import type { Tables } from '../../stores/tables/tables.ts'
import type { BenchPart } from '../bench-result.ts'
import { runPeer } from './peers.ts'
import type { PeerRun } from './peers.ts'

/** A column of our output and what it must equal in a peer's. */
export interface ComparedColumn {
  readonly name: string
  /** SQL over the peer's row `b`. */
  readonly peer: string
}

const NUMBER: FieldPlan = { name: 'n', type: { kind: 'float64' }, nullable: true, nonFinite: 'null' }

/** The real US flights of 2001. */
export function flightsFile(): string {
  const entry = createRequire(import.meta.url).resolve('vega-datasets')
  const name = 'vega-datasets'
  return join(entry.slice(0, entry.lastIndexOf(name)), name, 'data', 'flights-3m.parquet')
}

/** Fresh processes, the fastest of `repeats`: imports do not count, compilation of hot code does. */
export function fastest<R extends PeerRun>(run: () => R, repeats: number): R {
  return Array.from({ length: repeats }, run).reduce((best, next) => (next.seconds < best.seconds ? next : best))
}

/** An export by event time in a process of its own. */
export function exportOnce(project: string, spine: string, out: string, ...more: readonly string[]): PeerRun {
  const script = join(import.meta.dirname, 'export-process.ts')
  const args = ['--disable-warning=ExperimentalWarning', script, project, 'training', spine, out, ...more]
  const printed = execFileSync(process.execPath, args, { encoding: 'utf8' })
  return JSON.parse(printed.trim().split('\n').at(-1) ?? '') as PeerRun
}

/** Cells that differ between rows of one `spine_id`, null against a value included, and rows that only one file has; none may. */
async function differingCells(
  tables: Tables,
  ours: string,
  peer: string,
  columns: readonly ComparedColumn[],
): Promise<number> {
  const cells = columns.map((column) => `count(*) FILTER (a.${column.name} IS DISTINCT FROM ${column.peer})`)
  const counts = [ours, peer].map((path) => `(SELECT count(*) FROM ${sqlText(path)})`)
  const lost = counts.map((count) => `abs(${count} - count(*))`).join(' + ')
  const sql = `SELECT (${lost} + ${cells.join(' + ')})::DOUBLE FROM ${sqlText(ours)} a JOIN ${sqlText(peer)} b USING (spine_id)`
  const found = await tables.queryAll(sql, [NUMBER])
  return Number(columnValue(found.columns[0], 0))
}

/** SHA-256 of all cells of an output, in spine order. */
export async function resultHash(tables: Tables, ours: string, names: readonly string[]): Promise<string> {
  const fields = names.map((name) => ({ ...NUMBER, name }))
  const hash = createHash('sha256')
  const sql = `SELECT ${names.map((name) => `${name}::DOUBLE`).join(', ')} FROM ${sqlText(ours)}`
  for await (const { columns } of tables.queryColumns(sql, fields))
    for (const column of columns) if (column.storage === 'number') hash.update(column.values).update(column.nulls ?? '')
  return hash.digest('hex')
}

/** An output of ours and what the peers make their own from. */
export interface PeerComparison {
  readonly tables: Tables
  readonly folder: string
  /** Python script of the peers, see `peers.ts`. */
  readonly script: string
  readonly events: string
  readonly spine: string
  readonly out: string
  readonly compared: readonly ComparedColumn[]
  /** By peer how often it runs. */
  readonly repeats: Readonly<Record<string, number>>
}

/** Each peer beside our run of the same inputs. Throws where a cell differs. */
export async function besidePeers(ours: PeerRun, comparison: PeerComparison): Promise<BenchPart[]> {
  const { tables, folder, script, events, spine, out, compared, repeats } = comparison
  const parts: BenchPart[] = []
  for (const [peer, times] of Object.entries(repeats)) {
    const peerOut = join(folder, `${peer}.parquet`)
    const theirs = fastest(() => runPeer(script, peer, events, spine, peerOut), times)
    const cells = await differingCells(tables, out, peerOut, compared)
    if (cells > 0) throw new Error(`${cells} cells differ from ${peer}`)
    parts.push({
      name: peer,
      unit: 's',
      ours: ours.seconds,
      peer: theirs.seconds,
      ratio: theirs.seconds / ours.seconds,
    })
    console.log(
      `${peer}: ${theirs.seconds.toFixed(2)} s, ${theirs.peakMb} MB; Tidemark: ${ours.seconds.toFixed(2)} s, ${ours.peakMb} MB; all cells equal`,
    )
  }
  return parts
}
