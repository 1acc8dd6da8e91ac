import { createHash } from 'node:crypto'
import { aggregationValueType } from '../features/aggregation/value-type.ts'
import type { FeatureSpec } from '../features/authoring/aggregations.ts'
import type {
  EntityDefinition,
  Expectation,
  SourceDefinition,
  ViewDefinition,
} from '../features/authoring/definitions.ts'
import type { Schema } from '../features/authoring/types.ts'
import { canonicalJson } from '../features/plan/canonical-json.ts'
import type { FieldPlan, FieldType } from '../features/plan/field-type.ts'
import type { EntityPlan, SourcePlan } from '../features/plan/source-plan.ts'
import type {
  AggregationPlan,
  FeaturePlan,
  InputPlan,
  PlanValue,
  RulePlan,
  ViewPlan,
  WindowPlan,
} from '../features/plan/view-plan.ts'
import { checkViewShape, expectationProblem, valueProblem } from './check-view.ts'
import { defaultHopMs, parseDuration } from './durations.ts'

const NAME = /^[a-z][a-z0-9_]*$/
const NUMBERS = new Set<FieldType['kind']>(['int32', 'int64', 'float32', 'float64'])
const EXTREMES = new Set<FieldType['kind']>(['int32', 'float32', 'float64', 'timestamp'])

/** Says what is wrong with a definition; the caller adds where. */
export type Refuse = (about: string, problem: string) => never

export function versionOf(plan: unknown, code: string): string {
  return createHash('sha256').update(canonicalJson(plan)).update('\0').update(code).digest('hex')
}

export function checkName(name: string, what: string, refuse: Refuse): void {
  if (!NAME.test(name))
    refuse(
      name,
      `${what} name ${JSON.stringify(name)} is not allowed: lower-case letters, digits and _, a letter first`,
    )
  if (name.includes('__'))
    refuse(name, `${what} name ${JSON.stringify(name)} holds __, which separates view and feature in full names`)
}

export function compileFields(schema: Schema, what: string, refuse: Refuse): FieldPlan[] {
  const names = Object.keys(schema)
  if (names.length === 0) refuse(what, `${what} has no columns: give it at least one`)
  return names.map((name) => {
    if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(name))
      refuse(
        name,
        `column name ${JSON.stringify(name)} of ${what} is not allowed: letters, digits and _, a letter first`,
      )
    return { name, ...schema[name].plan }
  })
}

export function compileSource(definition: SourceDefinition, refuse: Refuse): SourcePlan {
  checkName(definition.name, 'source', refuse)
  const fields = compileFields(definition.schema, `source ${definition.name}`, refuse)
  for (const column of [definition.eventTime, definition.arrival]) {
    if (column === null) continue
    const field = fields.find(({ name }) => name === column)
    if (field === undefined)
      refuse(column, `source ${definition.name} has no column ${column}: its columns are ${list(fields)}`)
    else if (field.type.kind !== 'timestamp' || field.nullable)
      refuse(column, `column ${column} of source ${definition.name} must be t.timestamp(), not nullable, to be a time`)
  }
  const { kind, name, topic, eventTime, arrival, schedule } = definition
  return { kind, name, topic, format: { kind: 'json' }, fields, eventTime, arrival, schedule }
}

export function compileEntity(definition: EntityDefinition, refuse: Refuse): EntityPlan {
  checkName(definition.name, 'entity', refuse)
  const columns = compileFields(definition.columns, `entity ${definition.name}`, refuse)
  for (const { name, type } of columns)
    if (type.kind === 'vector')
      refuse(name, `column ${name} of entity ${definition.name} is a vector: a key is made of scalar columns`)
  return { kind: 'entity', name: definition.name, columns }
}

function list(fields: readonly FieldPlan[]): string {
  return fields.map(({ name }) => name).join(', ')
}

export function compileView(definition: ViewDefinition, refuse: Refuse): ViewPlan {
  const { name, options } = definition
  checkName(name, 'view', refuse)
  checkViewShape(definition, refuse)
  const source = compileSource(options.from, refuse)
  const entity = compileEntity(options.entity, refuse)
  for (const column of entity.columns) {
    const field = source.fields.find((other) => other.name === column.name)
    if (field === undefined)
      refuse(
        column.name,
        `view ${name}: source ${source.name} has no column ${column.name}, which entity ${entity.name} is keyed by`,
      )
    else if (canonicalJson(field.type) !== canonicalJson(column.type))
      refuse(
        column.name,
        `view ${name}: column ${column.name} is ${field.type.kind} in source ${source.name} and ${column.type.kind} in entity ${entity.name}`,
      )
  }
  const compiler = new FeatureCompiler(name, source, options.where === undefined ? 0 : 1, refuse)
  const features = Object.entries(options.features).map(([feature, node]) =>
    compiler.compile(feature, node.spec, options.expect?.[feature] ?? {}),
  )
  if (features.length === 0) refuse(name, `view ${name} has no features: give it at least one`)
  for (const feature of Object.keys(options.expect ?? {})) {
    if (!(feature in options.features)) refuse(feature, `view ${name}: expect names the unknown feature ${feature}`)
  }
  const ttlMs = options.ttl === undefined ? null : parseDuration(options.ttl)
  if (options.ttl !== undefined && ttlMs === null)
    refuse('ttl', `view ${name}: ttl ${JSON.stringify(options.ttl)} is not a duration like '30d'`)
  return {
    kind: 'view',
    kernel: 1,
    name,
    entity,
    source,
    where: options.where === undefined ? null : 0,
    features,
    ttlMs,
    functionCount: compiler.functionCount,
  }
}

class FeatureCompiler {
  functionCount: number
  readonly #view: string
  readonly #source: SourcePlan
  readonly #refuse: Refuse

  constructor(view: string, source: SourcePlan, functionCount: number, refuse: Refuse) {
    this.#view = view
    this.#source = source
    this.functionCount = functionCount
    this.#refuse = refuse
  }

  compile(name: string, spec: FeatureSpec, expectation: Expectation): FeaturePlan {
    checkName(name, 'feature', this.#refuse)
    const aggregation = this.#aggregation(name, spec)
    const bucketBy = spec.bucketBy === null ? null : this.#bucketBy(name, spec.bucketBy)
    const type = aggregationValueType(aggregation, bucketBy?.type ?? null)
    const wrongDefault = valueProblem(spec.default, type)
    if (wrongDefault !== null) this.#fail(name, `its default ${wrongDefault}`)
    const wrongRule = expectationProblem(expectation, type)
    if (wrongRule !== null) this.#fail(name, `expect: ${wrongRule}`)
    return {
      name,
      aggregation,
      window: this.#window(name, spec),
      bucketBy,
      default: planOf(spec.default),
      rules: rulesOf(expectation),
      nullShareMax: expectation.nullShare ?? null,
      type,
    }
  }

  #aggregation(name: string, spec: FeatureSpec): AggregationPlan {
    if (spec.kind === 'count') return { kind: 'count', input: null }
    const input = this.#input(name, spec)
    const { kind } = input.type
    if ((spec.kind === 'sum' || spec.kind === 'mean') && !NUMBERS.has(kind))
      this.#fail(name, `${spec.kind} needs numbers, the column is ${kind}`)
    if ((spec.kind === 'min' || spec.kind === 'max') && !EXTREMES.has(kind))
      this.#fail(name, `${spec.kind} needs int32, float32, float64 or timestamp, the column is ${kind}`)
    return { kind: spec.kind, input, ...spec.params } as AggregationPlan
  }

  #input(name: string, spec: FeatureSpec): InputPlan {
    if (typeof spec.input === 'function') {
      const type: FieldType = spec.inputType?.plan.type ?? { kind: spec.kind === 'countWhere' ? 'bool' : 'float64' }
      return { fn: this.functionCount++, type, nullable: true }
    }
    const field = this.#source.fields.find((other) => other.name === spec.input)
    if (field === undefined)
      return this.#fail(
        name,
        `source ${this.#source.name} has no column ${String(spec.input)}; its columns are ${list(this.#source.fields)}`,
      )
    return { column: field.name, type: field.type, nullable: field.nullable }
  }

  #bucketBy(name: string, bucketBy: { column: string; limit: number }): FeaturePlan['bucketBy'] {
    const field = this.#source.fields.find((other) => other.name === bucketBy.column)
    if (field === undefined) return this.#fail(name, `bucketBy names the unknown column ${bucketBy.column}`)
    return { column: field.name, type: field.type, limit: bucketBy.limit }
  }

  #window(name: string, spec: FeatureSpec): WindowPlan {
    if (spec.window === null || spec.window.length === 'lifetime') return { kind: 'lifetime' }
    const lengthMs = parseDuration(spec.window.length)
    if (lengthMs === null)
      return this.#fail(name, `window ${JSON.stringify(spec.window.length)} is not a duration like '1h' or 'lifetime'`)
    const hopMs = spec.window.hop === null ? defaultHopMs(lengthMs) : parseDuration(spec.window.hop)
    if (hopMs === null) return this.#fail(name, `hop ${JSON.stringify(spec.window.hop)} is not a duration like '1min'`)
    if (lengthMs % hopMs !== 0)
      return this.#fail(
        name,
        `window ${spec.window.length} is not a multiple of its hop of ${hopMs} ms: choose { hop } so that it is`,
      )
    return { kind: 'sliding', lengthMs, hopMs }
  }

  #fail(feature: string, problem: string): never {
    return this.#refuse(feature, `feature ${feature} of view ${this.#view}: ${problem}`)
  }
}

function planOf(value: unknown): PlanValue {
  if (value === null || value === undefined) return null
  if (typeof value === 'bigint') return { int64: String(value) }
  return value as PlanValue
}

function rulesOf(expectation: Expectation): RulePlan[] {
  const rules: RulePlan[] = []
  if (expectation.notNull === true) rules.push({ kind: 'notNull' })
  if (expectation.between !== undefined)
    rules.push({ kind: 'between', min: planOf(expectation.between[0]), max: planOf(expectation.between[1]) })
  if (expectation.oneOf !== undefined) rules.push({ kind: 'oneOf', values: expectation.oneOf.map(planOf) })
  if (expectation.matches !== undefined) rules.push({ kind: 'matches', pattern: expectation.matches })
  return rules
}
