import { DEFINITION } from '../features/authoring/definitions.ts'
import type { ServiceDefinition } from '../features/authoring/feature-service.ts'
import type { FieldPlan, FieldType } from '../features/plan/field-type.ts'
import { KERNEL_VERSION } from '../features/plan/view-plan.ts'
import type { ServiceFeaturePlan, ServicePlan, ViewPlan } from '../features/plan/view-plan.ts'
import { checkName, compileFields, compileType } from './compile-source.ts'
import type { Refuse } from './compile-source.ts'
import { checkDescription } from './compile-view.ts'
import { describeValue, isRecord, unknownName } from './describe-value.ts'
import { didYouMean } from '../features/errors/closest-name.ts'

/** A compiled view by name, with its version; null where the project has none of that name. */
export type FindView = (name: string) => { readonly plan: ViewPlan; readonly version: string } | null

const OPTIONS = ['features', 'request', 'derive', 'owner', 'tags', 'description']

/** Validates and compiles a service against the project's views. */
export function compileService(definition: ServiceDefinition, findView: FindView, refuse: Refuse): ServicePlan {
  const name: unknown = definition.name
  checkName(name, 'service', refuse)
  const unknown = unknownName(definition.given, OPTIONS, `service ${name}`)
  if (unknown !== null) refuse(unknown.split('"')[1], unknown)
  checkDescription({ ...definition }, `service ${name}`, refuse)
  const features = compileSelections(name, definition.features, findView, refuse)
  const request = compileRequest(name, definition.request, refuse)
  const derived = compileDerived(name, definition.derive, refuse)
  const names = [...features.map(({ fullName }) => fullName), ...[...request, ...derived].map((field) => field.name)]
  if (names.length === 0) refuse(name, `service ${name} has no features, request fields or derived fields`)
  const twice = names.find((other, i) => names.indexOf(other) !== i)
  if (twice !== undefined)
    refuse(
      twice.split('__').at(-1) ?? twice,
      `service ${name} has ${twice} twice: select each feature once and give request and derived fields names of their own`,
    )
  return { kind: 'service', kernel: KERNEL_VERSION, name, features, request, derived, functionCount: derived.length }
}

function compileSelections(
  service: string,
  selections: unknown,
  findView: FindView,
  refuse: Refuse,
): ServiceFeaturePlan[] {
  if (!Array.isArray(selections))
    return refuse(
      'features',
      `service ${service}: features must be an array, as in [cardSpend.all()], found ${describeValue(selections)}`,
    )
  return selections.flatMap((selection: unknown) => {
    const view = isRecord(selection) ? selection.view : undefined
    const names = isRecord(selection) ? selection.names : undefined
    if (!isRecord(view) || !Array.isArray(names))
      return refuse(
        'features',
        `service ${service}: features holds ${describeSelection(selection)}; write .all() or .pick('…') of a view`,
      )
    const found = findView(String(view.name))
    if (found === null)
      return refuse(
        'features',
        `service ${service} reads view ${describeValue(view.name)}, which no file under features/ exports`,
      )
    if (names.length === 0) refuse('pick', `service ${service}: .pick() of view ${found.plan.name} picks nothing`)
    return names.map((feature: unknown) => selectFeature(service, found, feature, refuse))
  })
}

function describeSelection(selection: unknown): string {
  const isView = isRecord(selection) && (selection as { [DEFINITION]?: unknown })[DEFINITION] === 'view'
  return isView ? `the view ${describeValue(selection.name)} itself` : describeValue(selection)
}

function selectFeature(
  service: string,
  { plan, version }: NonNullable<ReturnType<FindView>>,
  feature: unknown,
  refuse: Refuse,
): ServiceFeaturePlan {
  const found = plan.features.find(({ name }) => name === feature)
  if (found === undefined) {
    const names = plan.features.map(({ name }) => name)
    return refuse(
      String(feature),
      `service ${service}: view ${plan.name} has no feature ${describeValue(feature)}; it has ${names.join(', ')}${didYouMean(String(feature), names)}`,
    )
  }
  const { name, type } = found
  return { view: plan.name, viewVersion: version, feature: name, fullName: `${plan.name}__${name}`, type }
}

function compileRequest(service: string, request: unknown, refuse: Refuse): FieldPlan[] {
  if (isRecord(request) && Object.keys(request).length === 0) return []
  const fields = compileFields(request, `the request of service ${service}`, refuse)
  for (const { name } of fields) checkName(name, 'request field', refuse)
  return fields
}

/** In order: a plain function gives float64, `{ type, value }` says another type. */
function compileDerived(service: string, derive: unknown, refuse: Refuse): ServicePlan['derived'] {
  if (!isRecord(derive))
    return refuse('derive', `service ${service}: derive must be an object of functions, found ${describeValue(derive)}`)
  return Object.entries(derive).map(([name, field], fn) => {
    checkName(name, 'derived field', refuse)
    return { name, fn, type: derivedType(`derived field ${name} of service ${service}`, name, field, refuse) }
  })
}

function derivedType(what: string, name: string, field: unknown, refuse: Refuse): FieldType {
  if (typeof field === 'function') return { kind: 'float64' }
  if (!isRecord(field) || typeof field.value !== 'function')
    return refuse(
      name,
      `${what} must be a function of the vector, or { type: t.string(), value: (f) => … }, found ${describeValue(field)}`,
    )
  const unknown = unknownName(Object.keys(field), ['type', 'value'], what)
  if (unknown !== null) refuse(name, unknown)
  return compileType(field.type, what, (problem) => refuse(name, problem)).type
}
