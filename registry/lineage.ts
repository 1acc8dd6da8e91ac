import type { CompiledService, CompiledView } from '../features/kernel/compiled-view.ts'
import type { FeaturePlan } from '../features/plan/view-plan.ts'
import type { CatalogEntry } from './compile-project.ts'
import { describeFeature, describeType } from './describe-plan-parts.ts'
import { functionReads } from './function-reads.ts'

/** A feature, request field or derived field in the catalogue, with where it comes from and where it goes. */
export interface CatalogField {
  /** Full name where vectors have it. */
  readonly name: string
  readonly type: string
  /** How it is computed, for people. */
  readonly computed: string
  /** `payments.amount` (columns of the source), `card_spend__spend_24h` (fields of the vector); `*` at the end where a function may read more. */
  readonly from: readonly string[]
  /** Services that hold it (features), derived fields that read it (features and request fields). */
  readonly readBy: readonly string[]
}

/** The features of a view: source column → feature → service. */
export function viewLineage(view: CompiledView, services: readonly CompiledService[]): CatalogField[] {
  const { plan } = view
  const filter = plan.where === null ? [] : columnsOf(view, plan.where)
  return plan.features.map((feature) => {
    const own = inputColumns(view, feature)
    const bucket = feature.bucketBy === null ? [] : [feature.bucketBy.column]
    const from = [...new Set([...own, ...bucket, ...filter])].map((column) => `${plan.source.name}.${column}`)
    const fullName = `${plan.name}__${feature.name}`
    const readBy = services
      .filter((service) => service.plan.features.some((other) => other.fullName === fullName))
      .map((service) => service.plan.name)
    return {
      name: fullName,
      type: describeType(feature.type),
      computed: describeFeature(feature, functionText(view, feature)),
      from,
      readBy,
    }
  })
}

function inputColumns(view: CompiledView, { aggregation: { input } }: FeaturePlan): readonly string[] {
  if (input === null) return []
  return 'column' in input ? [input.column] : columnsOf(view, input.fn)
}

function columnsOf({ functions }: CompiledView, fn: number): string[] {
  const { names, whole } = functionReads(functions[fn])
  return whole ? [...names, '*'] : [...names]
}

function functionText({ functions }: CompiledView, { aggregation: { input } }: FeaturePlan): string | null {
  return input !== null && 'fn' in input ? Function.prototype.toString.call(functions[input.fn]) : null
}

/** The vector of a service: features, request fields, derived fields. */
export function serviceLineage({ plan, functions }: CompiledService): CatalogField[] {
  const reads = plan.derived.map(({ fn }) => functionReads(functions[fn]))
  const readBy = (name: string): string[] =>
    plan.derived.filter((_, i) => reads[i].names.includes(name)).map((derived) => derived.name)
  return [
    ...plan.features.map(({ fullName, type }) => ({
      name: fullName,
      type: describeType(type),
      computed: 'feature',
      from: [fullName],
      readBy: readBy(fullName),
    })),
    ...plan.request.map(({ name, type }) => ({
      name,
      type: describeType(type),
      computed: 'request field',
      from: [],
      readBy: readBy(name),
    })),
    ...plan.derived.map(({ name, type, fn }, i) => ({
      name,
      type: describeType(type),
      computed: Function.prototype.toString.call(functions[fn]),
      from: reads[i].whole ? [...reads[i].names, '*'] : [...reads[i].names],
      readBy: readBy(name),
    })),
  ]
}

type Entry = Omit<CatalogEntry, 'readBy' | 'fields'>

/** Catalogue entries, with what reads each and the lineage of its fields. */
export async function withLineage(
  entries: readonly Entry[],
  view: (version: string) => Promise<CompiledView>,
  services: readonly CompiledService[],
): Promise<CatalogEntry[]> {
  const complete: CatalogEntry[] = []
  for (const entry of entries) {
    const { kind, name, version } = entry
    const readBy = entries
      .filter(({ reads }) => reads.includes(`${kind}:${name}`))
      .map((other) => `${other.kind}:${other.name}`)
    const service = kind === 'service' ? services.find((other) => other.version === version) : undefined
    const fields =
      kind === 'view'
        ? viewLineage(await view(version), services)
        : service === undefined
          ? []
          : serviceLineage(service)
    complete.push({ ...entry, readBy, fields })
  }
  return complete
}
