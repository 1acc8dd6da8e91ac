import { canonicalJson } from '../features/plan/canonical-json.ts'
import type { EntityPlan, SourcePlan } from '../features/plan/source-plan.ts'
import type { FeaturePlan, ServicePlan, ViewPlan } from '../features/plan/view-plan.ts'
import { functionNames } from './check-functions.ts'
import { loadUnmetered } from './compartment.ts'
import {
  describeFeature,
  describeFormat,
  describeField,
  describeSelection,
  describeType,
  describeMs,
} from './describe-plan-parts.ts'

/** One difference within a definition. `from` and `to` are for people; null where the part is not there. */
export interface PlanDetail {
  readonly change: 'added' | 'removed' | 'changed'
  /** `feature payments_1h`, `where`, `column amount`, `ttl`, `request hour`, `derived ratio`, `view card_spend`, `order`, `code`. */
  readonly part: string
  readonly from: string | null
  readonly to: string | null
}

/** A registered or compiled definition's plan and code. */
export interface Compiled {
  readonly plan: unknown
  readonly code: string
}

/** What differs between two versions of a definition; `from` null: it is new, `to` null: it goes. */
export function diffDefinition(
  kind: 'source' | 'entity' | 'view' | 'service',
  from: Compiled | null,
  to: Compiled | null,
): PlanDetail[] {
  const [before, after] = [partsOf(kind, from), partsOf(kind, to)]
  const details: PlanDetail[] = []
  for (const part of new Set([...before.keys(), ...after.keys()])) {
    const [old, now] = [before.get(part) ?? null, after.get(part) ?? null]
    if (old?.key === now?.key) continue
    const change = old === null ? 'added' : now === null ? 'removed' : 'changed'
    details.push({ change, part, from: old?.text ?? null, to: now?.text ?? null })
  }
  // Nothing named differs, but the versions do: code that the functions call.
  if (details.length === 0 && from !== null && to !== null && from.code !== to.code)
    details.push({ change: 'changed', part: 'code', from: 'code that the functions call', to: 'other code' })
  return details
}

/** Parts by name: a key that tells whether they are the same, and a text. */
type Parts = Map<string, { readonly key: string; readonly text: string }>

function partsOf(kind: string, compiled: Compiled | null): Parts {
  if (compiled === null) return new Map()
  const { plan, code } = compiled
  if (kind === 'view') return viewParts(plan as ViewPlan, code)
  if (kind === 'service') return serviceParts(plan as ServicePlan, code)
  return kind === 'source' ? sourceParts(plan as SourcePlan) : entityParts(plan as EntityPlan)
}

function put(parts: Parts, part: string, value: unknown, text: string): void {
  parts.set(part, { key: canonicalJson(value), text })
}

function sourceParts(source: SourcePlan): Parts {
  const parts: Parts = new Map()
  for (const field of source.fields) put(parts, `column ${field.name}`, field, describeField(field))
  for (const part of ['topic', 'eventTime', 'arrival'] as const)
    if (source[part] !== null) put(parts, part, source[part], source[part])
  if (source.version !== undefined) put(parts, 'version', source.version, String(source.version))
  put(parts, 'format', source.format, describeFormat(source.format))
  return parts
}

function entityParts({ columns }: EntityPlan): Parts {
  const parts: Parts = new Map()
  for (const field of columns) put(parts, `column ${field.name}`, field, describeField(field))
  put(
    parts,
    'order',
    columns.map(({ name }) => name),
    columns.map(({ name }) => name).join(', '),
  )
  return parts
}

function viewParts(plan: ViewPlan, code: string): Parts {
  const parts: Parts = new Map()
  const texts = functionTexts(plan.functionCount, code)
  const names = functionNames(plan)
  if (plan.where !== null) put(parts, 'where', texts[plan.where], texts[plan.where])
  for (const feature of plan.features) {
    const text = texts[names.indexOf(feature.name, plan.where === null ? 0 : 1)]
    put(
      parts,
      `feature ${feature.name}`,
      [withoutNumber(feature), text ?? null],
      describeFeature(feature, text ?? null),
    )
  }
  if (plan.ttlMs !== null) put(parts, 'ttl', plan.ttlMs, describeMs(plan.ttlMs))
  for (const [part, { key, text }] of entityParts(plan.entity))
    parts.set(`entity ${plan.entity.name} ${part}`, { key, text })
  for (const [part, { key, text }] of sourceParts(plan.source))
    parts.set(`source ${plan.source.name} ${part}`, { key, text })
  put(parts, 'kernel', plan.kernel, `version ${plan.kernel}`)
  return parts
}

/** A feature without its function's number, which moves when another function comes before it. */
function withoutNumber(feature: FeaturePlan): unknown {
  const { input } = feature.aggregation
  return input !== null && 'fn' in input
    ? { ...feature, aggregation: { ...feature.aggregation, input: { type: input.type } } }
    : feature
}

function serviceParts(plan: ServicePlan, code: string): Parts {
  const parts: Parts = new Map()
  const texts = functionTexts(plan.functionCount, code)
  for (const feature of plan.features) {
    put(parts, `feature ${feature.fullName}`, feature.type, describeType(feature.type))
    put(parts, `view ${feature.view}`, feature.viewVersion, describeSelection(feature))
  }
  for (const field of plan.request) put(parts, `request ${field.name}`, field, describeField(field))
  for (const { name, fn, type } of plan.derived)
    put(parts, `derived ${name}`, [type, texts[fn]], `${describeType(type)}: ${texts[fn]}`)
  const order = [
    ...plan.features.map(({ fullName }) => fullName),
    ...[...plan.request, ...plan.derived].map(({ name }) => name),
  ]
  put(parts, 'order', order, order.join(', '))
  put(parts, 'kernel', plan.kernel, `version ${plan.kernel}`)
  return parts
}

function functionTexts(count: number, code: string): string[] {
  return count === 0 ? [] : loadUnmetered(code).map((fn) => Function.prototype.toString.call(fn))
}
