import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import { drain } from '../../cli/run-roles.ts'
import type { Value, ValueType } from '../../features/plan/field-type.ts'
import { FeatureReader } from '../../inference/assemble.ts'
import type { ServedVector } from '../../inference/served-vector.ts'
import { appendServed } from '../../inference/served-log.ts'
import { servedRow } from '../../inference/served-record.ts'
import { exportTrainingSet } from '../../offline/export.ts'
import type { AsOf, Manifest } from '../../offline/export.ts'
import { verifyServed } from '../../offline/verify.ts'
import type { VerifyReport } from '../../offline/verify.ts'
import { Registry } from '../../registry/registry.ts'
import { openLmdbLog } from '../../stores/log/lmdb/open.ts'
import { openSqliteMetadata } from '../../stores/metadata/sqlite/open.ts'
import { openFileObjects } from '../../stores/objects/files/open.ts'
import { openLmdbOnline } from '../../stores/online/lmdb/open.ts'
import type { OnlineStore } from '../../stores/online/online-store.ts'
import { openTables } from '../../stores/tables/open-tables.ts'
import { ApplyRole } from '../../streams/apply/apply-role.ts'
import { IngestRole } from '../../streams/ingest/ingest.ts'
import { importFiles } from '../../streams/imports/import-files.ts'
import { produce } from '../../streams/produce.ts'
import type { Accepted } from '../../streams/produce.ts'
import { createTopics } from '../../streams/stream-context.ts'
import type { StreamContext } from '../../streams/stream-context.ts'
import { temporaryProject } from './project.ts'

/** A time that the test owns. */
export interface TestClock {
  ms: number
}

export interface ExportedRow {
  /** Feature and derived values by full name, as the kernel's values. */
  readonly values: Readonly<Record<string, Value>>
}

type Row = Readonly<Record<string, unknown>>

/** A handle on an online store, as a process has one; `folder` is the project's data. */
export type OpenOnline = (folder: string, now: () => number) => Promise<OnlineStore>

export interface PlatformOptions {
  readonly now?: number
  readonly partitions?: number
  /** The embedded one unless given. */
  readonly openOnline?: OpenOnline
}

/** The product's real stores and roles in one process, under a clock of the test: definitions → registry → stream → served, archived, exported, verified. */
export class Platform {
  readonly directory: string
  readonly clock: TestClock
  context: StreamContext
  reader: FeatureReader
  readonly #place: Place
  #files = 0

  private constructor(place: Place, opened: Opened) {
    this.directory = place.directory
    this.clock = place.clock
    this.#place = place
    this.context = opened.context
    this.reader = opened.reader
  }

  /** A project with one definition file, applied. */
  static async open(
    test: Pick<TestContext, 'after'>,
    definitions: string,
    options: PlatformOptions = {},
  ): Promise<Platform> {
    const directory = temporaryProject(test as TestContext, { 'features/definitions.ts': definitions })
    const clock = { ms: options.now ?? Date.UTC(2024, 5, 1) }
    const { partitions = 2, openOnline = openEmbedded } = options
    const place = { directory, clock, partitions, openOnline }
    const platform = new Platform(place, await openStores(place))
    test.after(() => platform.close())
    await platform.apply()
    return platform
  }

  /** Registers the definitions, changed ones if given. */
  async apply(definitions?: string): Promise<void> {
    if (definitions !== undefined) this.define(definitions)
    await this.context.registry.apply(this.directory, this.clock.ms)
    await createTopics(this.context)
    await new ApplyRole(this.context).begin()
  }

  /** Writes the definition file; returns the project. */
  define(definitions: string): string {
    writeFileSync(join(this.directory, 'features/definitions.ts'), definitions)
    return this.directory
  }

  /** Another process on the same stores: its own log, online store and metadata handles. */
  async another(): Promise<{ context: StreamContext; reader: FeatureReader; close(): Promise<void> }> {
    const opened = await openStores(this.#place)
    return { ...opened, close: () => closeStores(opened.context) }
  }

  /** Ends the process, as it were, and starts one on the same data folder. */
  async restart(): Promise<void> {
    await closeStores(this.context)
    const opened = await openStores(this.#place)
    this.context = opened.context
    this.reader = opened.reader
  }

  produce(source: string, events: readonly (Row | string)[]): Promise<Accepted> {
    return produce(
      this.context,
      source,
      events.map((event) => (typeof event === 'string' ? event : JSON.stringify(event))),
    )
  }

  /** Imports rows as a JSONL file. */
  import(source: string, rows: readonly Row[], arrival: string | null = null): Promise<Accepted> {
    return this.importFile(source, this.file('.jsonl', jsonLines(rows)), arrival)
  }

  importFile(source: string, path: string, arrival: string | null = null): Promise<Accepted> {
    return importFiles(this.context, source, [path], { arrival })
  }

  /** Takes in all that was produced. */
  async ingest(): Promise<void> {
    const role = new IngestRole(this.context)
    while ((await role.runOnce()) > 0);
  }

  /** Ingests, applies and archives all that was appended. */
  settle(): Promise<number> {
    return drain(this.context)
  }

  async send(source: string, events: readonly (Row | string)[]): Promise<Accepted> {
    const accepted = await this.produce(source, events)
    await this.settle()
    return accepted
  }

  /** What a request gets, logged for verification. */
  async read(service: string, entities: readonly Row[], requests: readonly Row[] = []): Promise<ServedVector[]> {
    const compiled = await this.context.registry.service(service)
    const vectors = await this.reader.read(compiled, entities, requests)
    await appendServed(
      this.context.log,
      vectors.map((vector, i) => servedRow(vector, 'request', i)),
    )
    return vectors
  }

  /** One served row as value and status by full name. */
  async readOne(
    service: string,
    entity: Row,
    request: Row = {},
  ): Promise<{ cells: Record<string, { value: Value; status: string }>; vector: ServedVector }> {
    const compiled = await this.context.registry.service(service)
    const [vector] = await this.read(service, [entity], [request])
    const cells = Object.fromEntries(
      FeatureReader.names(compiled).map((name, i) => [name, { value: vector.values[i], status: vector.statuses[i] }]),
    )
    return { cells, vector }
  }

  /** Exports a spine (rows with `timestamp` in epoch ms) to Parquet and reads the file back, with its own DuckDB. */
  async export(
    service: string,
    spine: readonly Row[],
    asOf: AsOf = 'arrival',
  ): Promise<{ rows: ExportedRow[]; manifest: Manifest; path: string }> {
    const out = join(this.directory, `out-${++this.#files}.parquet`)
    const manifest = await exportTrainingSet(this.context, {
      service,
      spine: this.file('.csv', csv(spine)),
      out,
      asOf,
    })
    const { plan } = await this.context.registry.service(service)
    const types = new Map<string, ValueType>([
      ...plan.features.map(({ fullName, type }) => [fullName, type] as const),
      ...plan.derived.map(({ name, type }) => [name, type] as const),
    ])
    const rows = await readParquet(out)
    return {
      path: out,
      manifest,
      rows: rows.map((row) => ({
        values: Object.fromEntries([...types].map(([name, type]) => [name, valueOf(type, row[name])])),
      })),
    }
  }

  verify(): Promise<VerifyReport> {
    return verifyServed(this.context)
  }

  /** A new file in the project. */
  file(extension: string, text: string): string {
    const path = join(this.directory, `file-${++this.#files}${extension}`)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
    return path
  }

  async close(): Promise<void> {
    await closeStores(this.context)
    rmSync(this.directory, { recursive: true, force: true })
  }
}

interface Opened {
  readonly context: StreamContext
  readonly reader: FeatureReader
}

interface Place {
  readonly directory: string
  readonly clock: TestClock
  readonly partitions: number
  readonly openOnline: OpenOnline
}

const openEmbedded: OpenOnline = (folder, now) => openLmdbOnline({ path: join(folder, 'online'), now })

async function openStores({ directory, clock, partitions, openOnline }: Place): Promise<Opened> {
  const data = join(directory, '.tidemark')
  mkdirSync(data, { recursive: true })
  const now = (): number => clock.ms
  const buckets = 16
  const log = await openLmdbLog({ path: join(data, 'log'), now })
  const online = await openOnline(data, now)
  const metadata = await openSqliteMetadata(join(data, 'metadata.sqlite'))
  const objects = await openFileObjects({ path: join(data, 'objects') })
  const tables = await openTables({ temporaryFolder: join(data, 'duckdb') })
  const registry = new Registry(metadata)
  return {
    context: { log, online, metadata, objects, tables, registry, buckets, partitions },
    reader: new FeatureReader({ registry, online, buckets, partitions, now }),
  }
}

async function closeStores({ tables, log, online, metadata, objects }: StreamContext): Promise<void> {
  for (const store of [tables, log, online, metadata, objects]) await store.close()
}

const jsonLines = (rows: readonly Row[]): string =>
  rows
    .map((row) =>
      JSON.stringify(row, (_key, value: unknown) =>
        typeof value === 'bigint'
          ? (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(String(value))
          : value,
      ),
    )
    .join('\n') + '\n'

const valueText = (value: unknown): string => (typeof value === 'number' ? String(value) : JSON.stringify(value))

function csv(rows: readonly Row[]): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const cell = (value: unknown): string =>
    value === null || value === undefined
      ? ''
      : typeof value === 'string'
        ? `"${value.replaceAll('"', '""')}"`
        : valueText(value)
  return `${names.join(',')}\n${rows.map((row) => names.map((name) => cell(row[name])).join(',')).join('\n')}\n`
}

/** Rows of a Parquet file as plain DuckDB values. */
export function readParquet(path: string): Promise<Record<string, unknown>[]> {
  return query(`SELECT * FROM read_parquet('${path}')`)
}

/** What a DuckDB of the test's own says. */
export async function query(sql: string): Promise<Record<string, unknown>[]> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
  const connection = await instance.connect()
  try {
    await connection.run(`SET TimeZone = 'UTC'`)
    return (await connection.runAndReadAll(sql)).getRowObjects()
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

/** A cell of a Parquet file as the kernel's value of `type`. */
export function valueOf(type: ValueType, cell: unknown): Value {
  if (cell === null || cell === undefined) return null
  switch (type.kind) {
    case 'count':
    case 'int32':
    case 'float32':
    case 'float64':
      return Number(cell)
    case 'int64':
      return cell as bigint
    case 'timestamp':
      return typeof cell === 'object' ? Number((cell as { micros: bigint }).micros / 1000n) : Number(cell)
    case 'bytes':
      return Uint8Array.from((cell as { bytes: Uint8Array }).bytes)
    case 'vector':
      return Float32Array.from((cell as { items: number[] }).items)
    case 'list':
      return (cell as { items: unknown[] }).items.map((item) => valueOf(type.of, item))
    case 'map':
      return new Map(
        (cell as { entries: { key: unknown; value: unknown }[] }).entries.map(({ key, value }) => [
          valueOf(type.key, key),
          valueOf(type.value, value),
        ]),
      )
    default:
      return cell as Value
  }
}
