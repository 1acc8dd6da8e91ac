import { compileAggregation } from '../features/aggregation/compile-aggregation.ts'
import { aggregationValueType } from '../features/aggregation/value-type.ts'
import type { FeatureSpec } from '../features/authoring/feature-node.ts'
import type { Expectation } from '../features/authoring/feature-view.ts'
import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import type { FieldPlan, FieldType, ValueType } from '../features/plan/field-type.ts'
import type { SourcePlan } from '../features/plan/source-plan.ts'
import type { AggregationPlan, FeaturePlan, InputPlan, PlanValue, WindowPlan } from '../features/plan/view-plan.ts'
import { bucketLimitProblem, parametersProblem } from './aggregation-parameters.ts'
import { checkName, compileType, listFields } from './compile-source.ts'
import type { Refuse } from './compile-source.ts'
import { describeValue } from './describe-value.ts'
import { defaultHopMs, parseDuration } from './durations.ts'
import { expectationProblem, planValueOf, rulesOf, valueProblem } from './plan-values.ts'
import { didYouMean } from '../features/errors/closest-name.ts'

const TRUTHS = new Set(['countWhere', 'any', 'all'])
const WITHOUT_INPUT = new Set(['count', 'decayedCount'])
const WINDOW_HOPS_MAX = 1_000_000

/** Compiles the features of one view, in their order: functions are numbered as they come. */
export class FeatureCompiler {
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

  compile(name: string, node: unknown, expectation: unknown): FeaturePlan {
    checkName(name, 'feature', this.#refuse)
    const spec = this.#spec(name, node)
    const aggregation = this.#aggregation(name, spec)
    const bucketBy = spec.bucketBy === null ? null : this.#bucketBy(name, spec.bucketBy)
    const window = this.#window(name, spec)
    const type = aggregationValueType(aggregation, bucketBy?.type ?? null)
    const wrongRule = expectationProblem(expectation, type)
    if (wrongRule !== null) this.#fail(name, `expect: ${wrongRule}`)
    const { nullShare = null } = expectation as Expectation
    const feature: FeaturePlan = {
      name,
      aggregation,
      window,
      bucketBy,
      default: this.#default(name, spec, type),
      rules: rulesOf(expectation as Expectation, type),
      nullShareMax: nullShare,
      type,
    }
    this.#checkKernel(feature)
    return feature
  }

  #spec(name: string, node: unknown): FeatureSpec {
    const spec = (node as { spec?: FeatureSpec } | null | undefined)?.spec
    if (typeof spec !== 'object')
      return this.#fail(
        name,
        `must be an aggregation with a window, as in count().over('1h'), found ${describeValue(node)}`,
      )
    return spec
  }

  #aggregation(name: string, spec: FeatureSpec): AggregationPlan {
    const { kind, params } = spec
    const problem = parametersProblem(kind, params)
    if (problem !== null) this.#fail(name, problem)
    const { halfLife, ...rest } = params
    const plan = halfLife === undefined ? rest : { ...rest, halfLifeMs: parseDuration(halfLife) }
    if (WITHOUT_INPUT.has(kind)) {
      if (spec.input !== null)
        this.#fail(
          name,
          `${kind} counts events and reads no column: for a column there are countWhere and distinctCount`,
        )
      return { kind, input: null, ...plan } as AggregationPlan
    }
    return { kind, input: this.#input(name, spec), ...plan } as AggregationPlan
  }

  #input(name: string, { kind, input, inputType }: FeatureSpec): InputPlan {
    if (typeof input === 'function') {
      if (kind === 'latest') this.#fail(name, `latest reads a column; for a function there is last(…).over('lifetime')`)
      return { fn: this.functionCount++, type: this.#functionType(name, kind, inputType), nullable: true }
    }
    const field = this.#column(name, kind, input)
    if (inputType !== null)
      this.#fail(name, `type is for functions: column ${field.name} has its own, ${field.type.kind}`)
    return { column: field.name, type: field.type, nullable: field.nullable }
  }

  #functionType(name: string, kind: string, declared: unknown): FieldType {
    if (TRUTHS.has(kind)) {
      if (declared !== null) this.#fail(name, `the function of ${kind} returns true or false and takes no type`)
      return { kind: 'bool' }
    }
    if (declared !== null)
      return compileType(declared, 'the type of its function', (problem) => this.#fail(name, problem)).type
    if (kind === 'vectorSum' || kind === 'vectorMean')
      this.#fail(name, `${kind} of a function needs its type, as in { type: t.vector(3) }`)
    return { kind: 'float64' }
  }

  #column(feature: string, what: string, column: unknown): FieldPlan {
    const field = this.#source.fields.find(({ name }) => name === column)
    if (field !== undefined) return field
    const known = `the columns of source ${this.#source.name} are ${listFields(this.#source.fields)}`
    return typeof column === 'string'
      ? this.#fail(
          feature,
          `${what} reads column ${describeValue(column)}, which the source does not have; ${known}${didYouMean(
            column,
            this.#source.fields.map(({ name }) => name),
          )}`,
        )
      : this.#fail(feature, `${what} reads a column by name or a function, found ${describeValue(column)}; ${known}`)
  }

  #bucketBy(name: string, { column, limit }: { column: unknown; limit: unknown }): FeaturePlan['bucketBy'] {
    const field = this.#column(name, 'bucketBy', column)
    const problem = bucketLimitProblem(limit)
    if (problem !== null) this.#fail(name, `limit of bucketBy ${problem}, found ${describeValue(limit)}`)
    return { column: field.name, type: field.type, limit: Number(limit) }
  }

  #window(name: string, { window }: FeatureSpec): WindowPlan {
    if (window === null) return { kind: 'lifetime' }
    const { length, hop } = window
    if (length === 'lifetime') {
      if (hop !== null) this.#fail(name, `a lifetime window has no tail and so no hop`)
      return { kind: 'lifetime' }
    }
    const lengthMs = parseDuration(length)
    if (lengthMs === null)
      return this.#fail(name, `window ${describeValue(length)} is not a duration like '1h' or 'lifetime'`)
    const hopMs = hop === null ? defaultHopMs(lengthMs) : parseDuration(hop)
    if (hopMs === null) return this.#fail(name, `hop ${describeValue(hop)} is not a duration like '1m'`)
    if (lengthMs % hopMs !== 0)
      return this.#fail(
        name,
        `window ${length} is not a multiple of its hop of ${hopMs} ms: choose { hop } so that it is`,
      )
    if (lengthMs / hopMs > WINDOW_HOPS_MAX)
      return this.#fail(name, `window ${length} has more than a million hops of ${hopMs} ms: choose a longer hop`)
    return { kind: 'sliding', lengthMs, hopMs }
  }

  #default(name: string, spec: FeatureSpec, type: ValueType): PlanValue {
    if (spec.default === undefined) return null
    const problem = valueProblem(spec.default, type)
    return problem === null ? planValueOf(spec.default, type) : this.#fail(name, `its default ${problem}`)
  }

  /** The kernel has the last word on which types an aggregation reads. */
  #checkKernel(feature: FeaturePlan): void {
    try {
      compileAggregation(feature)
    } catch (error) {
      const { aggregation, supported, found } = isTidemarkError(error) ? error.details : {}
      if (!Array.isArray(supported)) throw error
      this.#fail(
        feature.name,
        `${String(aggregation)} reads ${supported.join(', ')}, but its input is ${String(found)}: choose another column, or convert it with a function`,
      )
    }
  }

  #fail(feature: string, problem: string): never {
    return this.#refuse(feature, `feature ${feature} of view ${this.#view}: ${problem}`)
  }
}
