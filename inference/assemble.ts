import { createResultColumn, resultValue, STATUS_NAMES } from '../features/aggregation/result-column.ts'
import type { ResultColumn, StatusName } from '../features/aggregation/result-column.ts'
import type { CompiledService, CompiledView } from '../features/kernel/compiled-view.ts'
import { deriveRow } from '../features/kernel/derive.ts'
import { StateTable } from '../features/kernel/state-table.ts'
import { ViewKernel } from '../features/kernel/view-kernel.ts'
import type { FieldPlan, Value } from '../features/plan/field-type.ts'
import { bucketOf, entityKeyBytes, partitionOf } from '../features/values/entity-key.ts'
import { valueFromJson } from '../features/values/json-values.ts'
import { keyedLogOf } from '../registry/keyed-logs.ts'
import type { Registry } from '../registry/registry.ts'
import type { EntityRead, OnlineStore } from '../stores/online/online-store.ts'
import { failInference } from './errors.ts'
import { readLive } from './live-check.ts'

export interface Stamp {
  readonly view: string
  readonly version: string
  readonly incarnation: string
  readonly partition: number
  readonly nextOffset: string
}

export interface ServedVector {
  readonly values: Value[]
  readonly statuses: StatusName[]
  readonly evaluatedAt: number
  readonly stamps: Stamp[]
}

export interface FeatureReaderOptions {
  readonly registry: Registry
  readonly online: OnlineStore
  readonly buckets: number
  readonly partitions: number
  readonly now: () => number
}

type Row = Readonly<Record<string, unknown>>

/** One view as a service reads it. */
interface ViewPart {
  readonly view: CompiledView
  readonly keyedLog: string
  readonly table: StateTable
  readonly out: readonly ResultColumn[]
  readonly slot: number
}

interface ServicePart {
  readonly service: CompiledService
  readonly views: readonly ViewPart[]
  /** Per feature of the service: which view part and which of its features. */
  readonly places: readonly { readonly part: number; readonly feature: number }[]
  readonly keys: readonly FieldPlan[]
}

/** Reads a service's vectors from the online store: one read for all rows and views, one evaluation time per row. */
export class FeatureReader {
  readonly #options: FeatureReaderOptions
  readonly #parts = new Map<string, ServicePart>()

  constructor(options: FeatureReaderOptions) {
    this.#options = options
  }

  /** All names of a vector: features, request fields, derived fields. */
  static names({ plan }: CompiledService): string[] {
    return [
      ...plan.features.map(({ fullName }) => fullName),
      ...plan.request.map(({ name }) => name),
      ...plan.derived.map(({ name }) => name),
    ]
  }

  /** Vectors for entities (rows of key columns) and their request fields. TM_ENTITY_KEY, TM_REQUEST_FIELD, TM_UNKNOWN_FIELD. */
  async read(service: CompiledService, entities: readonly Row[], requests: readonly Row[]): Promise<ServedVector[]> {
    const part = await this.#part(service)
    const { buckets } = this.#options
    const reads: EntityRead[] = []
    entities.forEach((entity, i) => {
      const values = new Map(
        part.keys.map((field, k) => [field.name, parseFields(part.keys, entity, i, 'TM_ENTITY_KEY')[k]]),
      )
      for (const { view, keyedLog } of part.views) {
        const key = entityKeyBytes(view.plan.entity.columns.map(({ name }) => values.get(name) ?? null))
        reads.push({ keyedLog, bucket: bucketOf(key, buckets), keys: [{ view: view.version, key }] })
      }
    })
    const requestValues = entities.map((_, i) =>
      parseFields(service.plan.request, requests[i] ?? {}, i, 'TM_REQUEST_FIELD'),
    )
    const { online, registry } = this.#options
    const results = await readLive(online, registry.viewSets, part.views, reads)
    const now = Math.floor(this.#options.now())
    return entities.map((_, i) =>
      this.#vector(
        part,
        reads.slice(i * part.views.length),
        results.slice(i * part.views.length),
        requestValues[i],
        now,
      ),
    )
  }

  #vector(
    part: ServicePart,
    reads: readonly EntityRead[],
    results: Awaited<ReturnType<OnlineStore['read']>>,
    request: readonly Value[],
    now: number,
  ): ServedVector {
    const { service, views, places } = part
    const held = views.map(({ table, slot }, v) => {
      const [state] = results[v].states
      if (state !== null) table.decode(slot, state)
      return state !== null
    })
    const newest = views.map(({ table, slot }, v) => (held[v] ? table.newestTau(slot) : -Infinity))
    const evaluatedAt = Math.max(now, ...newest.map((tau) => tau + 1))
    views.forEach(({ table, slot, out }, v) => table.evaluate(held[v] ? slot : -1, evaluatedAt, out, 0))
    const values: Value[] = []
    const statuses: StatusName[] = []
    for (const { part: v, feature } of places) {
      const column = views[v].out[feature]
      values.push(resultValue(column, 0))
      statuses.push(STATUS_NAMES[column.statuses[0]])
    }
    for (const value of request) {
      values.push(value)
      statuses.push('PRESENT')
    }
    deriveRow(service, values, statuses)
    const stamps = views.map(({ view }, v) => ({
      view: view.plan.name,
      version: view.version,
      incarnation: results[v].marker?.incarnation ?? '',
      partition: partitionOf(reads[v].bucket, this.#options.partitions),
      nextOffset: String(results[v].marker?.nextOffset ?? 0),
    }))
    return { values, statuses, evaluatedAt, stamps }
  }

  async #part(service: CompiledService): Promise<ServicePart> {
    const known = this.#parts.get(service.version)
    if (known !== undefined) return known
    const { registry } = this.#options
    const versions = [...new Set(service.plan.features.map(({ viewVersion }) => viewVersion))]
    const views: ViewPart[] = []
    for (const version of versions) {
      const view = await registry.view(version)
      const table = new StateTable(new ViewKernel(view))
      const out = view.plan.features.map((feature) => createResultColumn(feature.type, 1))
      views.push({ view, keyedLog: keyedLogOf(view), table, out, slot: table.open() })
    }
    const places = service.plan.features.map(({ viewVersion, feature }) => {
      const number = versions.indexOf(viewVersion)
      return { part: number, feature: views[number].view.plan.features.findIndex(({ name }) => name === feature) }
    })
    const keys = new Map(views.flatMap(({ view }) => view.plan.entity.columns.map((column) => [column.name, column])))
    const part = { service, views, places, keys: [...keys.values()] }
    this.#parts.set(service.version, part)
    return part
  }
}

function parseFields(
  fields: readonly FieldPlan[],
  row: Row,
  number: number,
  code: 'TM_ENTITY_KEY' | 'TM_REQUEST_FIELD',
): Value[] {
  const unknown = Object.keys(row).find((name) => !fields.some((field) => field.name === name))
  if (unknown !== undefined) {
    throw failInference(
      'TM_UNKNOWN_FIELD',
      `row ${number} has the unknown field ${unknown}; expected ${fields.map(({ name }) => name).join(', ') || 'none'}`,
      { details: { row: number, field: unknown } },
    )
  }
  return fields.map((field) => {
    const value = valueFromJson(field, row[field.name])
    if (value !== undefined) return value
    throw failInference(
      code,
      `row ${number}: ${field.name} should be ${field.type.kind}, found ${row[field.name] === undefined ? 'nothing' : JSON.stringify(row[field.name])}`,
      { details: { row: number, field: field.name } },
    )
  })
}
