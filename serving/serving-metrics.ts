import { Counter, Gauge, Histogram, Registry as Metrics } from 'prom-client'
import type { FunctionFailure } from '../features/kernel/function-failures.ts'

/** Figures that are counted elsewhere and read when the metrics are asked for. */
export interface MetricSources {
  readonly reader: () => { readonly hits: number; readonly evaluations: number }
  readonly servedLog: () => {
    readonly logged: number
    readonly skipped: number
    readonly droppedRate: number
    readonly droppedAppend: number
  }
  /** Records between the end of each keyed partition and what is applied, by keyed log; absent where nobody knows. */
  readonly lag?: () => Promise<
    readonly { readonly keyedLog: string; readonly lagRecords: number; readonly freshnessMs: number }[]
  >
  /** States deleted as nothing can read them any more, by view; absent where nobody knows. */
  readonly expiredKeys?: () => Promise<Readonly<Record<string, number>>>
  /** Partitions of sources and keyed logs that stopped for good; absent where nobody knows. */
  readonly stopped?: () => Promise<readonly { readonly partition: string; readonly code: string }[]>
  /** Sources whose ingest waits, and for what; absent where nobody knows. */
  readonly heldBack?: () => Promise<readonly { readonly source: string; readonly by: string }[]>
  /** Calls of user functions that gave nothing, by the view or service that they belong to. */
  readonly functionFailures: () => Promise<readonly (FunctionFailure & { readonly name: string })[]>
}

export interface ServingMetrics {
  readonly contentType: string
  answered(service: string, rows: number, seconds: number): void
  refused(service: string, status: number): void
  text(): Promise<string>
}

const SECONDS = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1]

export function createServingMetrics(sources: MetricSources): ServingMetrics {
  const registry = new Metrics()
  const registers = [registry]
  const counts = new RequestCounts()
  registerRequests(counts, registers)
  const duration = new Histogram({
    name: 'tidemark_feature_request_seconds',
    help: 'Time of an answered feature request, from its body to its answer.',
    buckets: SECONDS,
    registers,
  })
  registerSources(sources, registers)
  const readLag = registerLag(sources, registers)
  return {
    contentType: registry.contentType,
    answered: (service, rows, seconds) => {
      counts.of(service, 200).requests++
      counts.of(service, 200).rows += rows
      duration.observe(seconds)
    },
    refused: (service, status) => void counts.of(service, status).requests++,
    text: async () => {
      await readLag()
      return registry.metrics()
    },
  }
}

/** Plain numbers, which cost a request nothing; labels are put to them when the metrics are asked for. */
class RequestCounts {
  readonly byService = new Map<string, Map<number, { requests: number; rows: number }>>()

  of(service: string, status: number): { requests: number; rows: number } {
    let byStatus = this.byService.get(service)
    if (byStatus === undefined) this.byService.set(service, (byStatus = new Map()))
    let counts = byStatus.get(status)
    if (counts === undefined) byStatus.set(status, (counts = { requests: 0, rows: 0 }))
    return counts
  }
}

/** A value of a metric that is read when the metrics are asked for. */
interface Reading {
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

interface ReadMetric {
  readonly name: string
  readonly help: string
  readonly labelNames: string[]
  readonly registers: Metrics[]
  /** All values that there are now. */
  readonly read: () => readonly Reading[] | Promise<readonly Reading[]>
}

function registerCounter({ read, ...metric }: ReadMetric): void {
  void new Counter({
    ...metric,
    async collect() {
      const readings = await read()
      this.reset()
      for (const { labels, value } of readings) this.inc(labels, value)
    },
  })
}

function registerGauge({ read, ...metric }: ReadMetric): void {
  void new Gauge({
    ...metric,
    async collect() {
      const readings = await read()
      this.reset()
      for (const { labels, value } of readings) this.set(labels, value)
    },
  })
}

function byLabel(label: string, values: Readonly<Record<string, number>>): Reading[] {
  return Object.entries(values).map(([name, value]) => ({ labels: { [label]: name }, value }))
}

function registerRequests({ byService }: RequestCounts, registers: Metrics[]): void {
  registerCounter({
    name: 'tidemark_feature_requests_total',
    help: 'Feature requests by service and HTTP status.',
    labelNames: ['service', 'status'],
    registers,
    read: () =>
      [...byService].flatMap(([service, byStatus]) =>
        Array.from(byStatus, ([status, { requests }]) => ({ labels: { service, status }, value: requests })),
      ),
  })
  registerCounter({
    name: 'tidemark_feature_rows_total',
    help: 'Vectors served.',
    labelNames: ['service'],
    registers,
    read: () =>
      [...byService].flatMap(([service, byStatus]) => {
        const answered = byStatus.get(200)
        return answered === undefined ? [] : [{ labels: { service }, value: answered.rows }]
      }),
  })
}

function registerSources(
  { reader, servedLog, expiredKeys, stopped, heldBack, functionFailures }: MetricSources,
  registers: Metrics[],
): void {
  registerCounter({
    name: 'tidemark_feature_view_reads_total',
    help: 'Views read for an entity: values at hand (hit), or computed from the stored state (evaluated).',
    labelNames: ['outcome'],
    registers,
    read: () => {
      const { hits, evaluations } = reader()
      return byLabel('outcome', { hit: hits, evaluated: evaluations })
    },
  })
  registerCounter({
    name: 'tidemark_served_log_rows_total',
    help: 'Served vectors by what the log did with them: logged, skipped (key not sampled), dropped above the limit, dropped as the log refused them.',
    labelNames: ['outcome'],
    registers,
    read: () => {
      const { logged, skipped, droppedRate, droppedAppend } = servedLog()
      return byLabel('outcome', { logged, skipped, dropped_rate: droppedRate, dropped_append: droppedAppend })
    },
  })
  registerCounter({
    name: 'tidemark_function_failures_total',
    help: 'Calls of user functions whose result is null, as they threw or returned what their type does not allow, by view or service, function and code.',
    labelNames: ['name', 'function', 'code'],
    registers,
    read: async () =>
      (await functionFailures()).map(({ name, function: of, code, count }) => ({
        labels: { name, function: of, code },
        value: count,
      })),
  })
  if (expiredKeys !== undefined)
    registerCounter({
      name: 'tidemark_expired_keys_total',
      help: 'Stored states that were deleted, as no window or ttl of the view reaches them any more.',
      labelNames: ['view'],
      registers,
      read: async () => byLabel('view', await expiredKeys()),
    })
  if (stopped !== undefined)
    registerGauge({
      name: 'tidemark_stopped_partitions',
      help: 'Partitions of sources and keyed logs that stopped for good, by name and the code of the cause.',
      labelNames: ['partition', 'code'],
      registers,
      read: async () => (await stopped()).map(({ partition, code }) => ({ labels: { partition, code }, value: 1 })),
    })
  if (heldBack !== undefined)
    registerGauge({
      name: 'tidemark_ingest_held_back',
      help: 'Sources whose ingest waits, as apply or archive are too far behind in a keyed log.',
      labelNames: ['source', 'by'],
      registers,
      read: async () => (await heldBack()).map(({ source, by }) => ({ labels: { source, by }, value: 1 })),
    })
}

/** Returns what to call before the metrics are read. */
function registerLag({ lag }: MetricSources, registers: Metrics[]): () => Promise<void> {
  if (lag === undefined) return () => Promise.resolve()
  const records = new Gauge({
    name: 'tidemark_keyed_log_lag_records',
    help: 'Records of the keyed log that are not applied yet.',
    labelNames: ['keyed_log'],
    registers,
  })
  const freshness = new Gauge({
    name: 'tidemark_keyed_log_freshness_seconds',
    help: 'Age of the oldest record of the keyed log that is not applied yet; 0 when there is none.',
    labelNames: ['keyed_log'],
    registers,
  })
  return async () => {
    for (const { keyedLog, lagRecords, freshnessMs } of await lag()) {
      records.set({ keyed_log: keyedLog }, lagRecords)
      freshness.set({ keyed_log: keyedLog }, freshnessMs / 1000)
    }
  }
}
