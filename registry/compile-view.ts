import { createHash } from 'node:crypto'
import type { EntityDefinition, SourceDefinition } from '../features/authoring/definitions.ts'
import { DEFINITION } from '../features/authoring/definitions.ts'
import type { ViewDefinition } from '../features/authoring/feature-view.ts'
import { canonicalJson } from '../features/plan/canonical-json.ts'
import { KERNEL_VERSION } from '../features/plan/view-plan.ts'
import type { ViewPlan } from '../features/plan/view-plan.ts'
import { FeatureCompiler } from './compile-feature.ts'
import { checkName, compileEntity, compileSource } from './compile-source.ts'
import type { Refuse } from './compile-source.ts'
import { describeValue, isRecord, unknownName } from './describe-value.ts'
import { parseDuration } from './durations.ts'
import { didYouMean } from '../features/errors/closest-name.ts'

export function versionOf(plan: unknown, code: string): string {
  return createHash('sha256').update(canonicalJson(plan)).update('\0').update(code).digest('hex')
}

const OPTIONS = ['entity', 'from', 'where', 'features', 'ttl', 'freshness', 'expect', 'owner', 'tags', 'description']

/** Validates and compiles a view. Every problem is refused with the word to look for in the file. */
export function compileView(definition: ViewDefinition, refuse: Refuse): ViewPlan {
  const name: unknown = definition.name
  checkName(name, 'view', refuse)
  const options: Readonly<Record<string, unknown>> = { ...definition.options }
  const unknown = unknownName(Object.keys(options), OPTIONS, `view ${name}`)
  if (unknown !== null) refuse(unknown.split('"')[1], unknown)
  const source = compileSource(part<SourceDefinition>(options, 'from', 'source', name, refuse), refuse)
  const entity = compileEntity(part<EntityDefinition>(options, 'entity', 'entity', name, refuse), refuse)
  checkKey(name, source, entity, refuse)
  const { features, where } = options
  if (!isRecord(features))
    return refuse('features', `view ${name}: features must be an object, found ${describeValue(features)}`)
  if (Object.keys(features).length === 0) refuse(name, `view ${name} has no features: give it at least one`)
  if (where !== undefined && typeof where !== 'function')
    refuse('where', `view ${name}: where must be a function of the event, found ${describeValue(where)}`)
  const expect = expectations(name, options.expect, features, refuse)
  const compiler = new FeatureCompiler(name, source, where === undefined ? 0 : 1, refuse)
  const plans = Object.entries(features).map(([feature, node]) =>
    compiler.compile(feature, node, expect[feature] ?? {}),
  )
  checkDescription(options, `view ${name}`, refuse)
  durationOf(options, 'freshness', '5m', name, refuse)
  return {
    kind: 'view',
    kernel: KERNEL_VERSION,
    name,
    entity,
    source,
    where: where === undefined ? null : 0,
    features: plans,
    ttlMs: durationOf(options, 'ttl', '30d', name, refuse),
    functionCount: compiler.functionCount,
  }
}

function part<D>(
  options: Readonly<Record<string, unknown>>,
  option: string,
  kind: 'source' | 'entity',
  view: string,
  refuse: Refuse,
): D {
  const value = options[option]
  if (isRecord(value) && (value as { [DEFINITION]?: unknown })[DEFINITION] === kind) return value as D
  const maker = kind === 'source' ? 'stream(…) or table(…)' : 'entity(…)'
  const about = value === undefined ? view : option
  return refuse(about, `view ${view}: ${option} must be what ${maker} gives, found ${describeValue(value)}`)
}

function checkKey(
  view: string,
  source: ReturnType<typeof compileSource>,
  entity: ReturnType<typeof compileEntity>,
  refuse: Refuse,
): void {
  for (const column of entity.columns) {
    const field = source.fields.find((other) => other.name === column.name)
    if (field === undefined)
      refuse(
        'entity',
        `view ${view}: source ${source.name} has no column ${column.name}, which entity ${entity.name} is keyed by${didYouMean(
          column.name,
          source.fields.map(({ name }) => name),
        )}`,
      )
    else if (canonicalJson(field.type) !== canonicalJson(column.type))
      refuse(
        'entity',
        `view ${view}: column ${column.name} is ${field.type.kind} in source ${source.name} and ${column.type.kind} in entity ${entity.name}${field.type.kind === 'enum' && column.type.kind === 'enum' ? ' with other values' : ''}`,
      )
  }
}

function expectations(
  view: string,
  expect: unknown,
  features: Readonly<Record<string, unknown>>,
  refuse: Refuse,
): Readonly<Record<string, unknown>> {
  if (expect === undefined) return {}
  if (!isRecord(expect))
    return refuse(
      'expect',
      `view ${view}: expect must be an object of rules by feature, found ${describeValue(expect)}`,
    )
  for (const feature of Object.keys(expect))
    if (!(feature in features))
      refuse(
        feature,
        `view ${view}: expect names the unknown feature ${feature}; its features are ${Object.keys(features).join(', ')}${didYouMean(feature, Object.keys(features))}`,
      )
  return expect
}

function durationOf(
  options: Readonly<Record<string, unknown>>,
  option: string,
  example: string,
  view: string,
  refuse: Refuse,
): number | null {
  if (options[option] === undefined) return null
  const ms = parseDuration(options[option])
  return (
    ms ??
    refuse(option, `view ${view}: ${option} ${describeValue(options[option])} is not a duration like '${example}'`)
  )
}

/** Owner and description are texts, tags texts by name. */
export function checkDescription(options: Readonly<Record<string, unknown>>, what: string, refuse: Refuse): void {
  for (const option of ['owner', 'description']) {
    const value = options[option]
    if (value !== undefined && value !== null && typeof value !== 'string')
      refuse(option, `${what}: ${option} must be a text, found ${describeValue(value)}`)
  }
  const { tags } = options
  if (tags === undefined) return
  if (!isRecord(tags))
    return refuse(
      'tags',
      `${what}: tags must be texts by name, as in { domain: 'fraud' }, found ${describeValue(tags)}`,
    )
  for (const [tag, value] of Object.entries(tags))
    if (typeof value !== 'string')
      refuse(tag, `${what}: tag ${describeValue(tag)} must be a text, found ${describeValue(value)}`)
}
