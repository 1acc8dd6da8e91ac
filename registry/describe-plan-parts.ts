import type { FormatPlan } from '../features/plan/format-plan.ts'
import type { FieldPlan, ValueType } from '../features/plan/field-type.ts'
import type { FeaturePlan, ServiceFeaturePlan } from '../features/plan/view-plan.ts'

const UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
]

/** A duration as definitions write it. */
export function describeMs(ms: number): string {
  const unit = UNITS.find(([, length]) => ms % length === 0)
  return unit === undefined ? `${ms}ms` : `${ms / unit[1]}${unit[0]}`
}

export function describeType(type: ValueType): string {
  switch (type.kind) {
    case 'vector':
      return `vector(${type.length})`
    case 'enum':
      return `enum(${type.values.join(', ')})`
    case 'list':
      return `list of ${describeType(type.of)}`
    case 'map':
      return `map from ${describeType(type.key)} to ${describeType(type.value)}`
    default:
      return type.kind
  }
}

export function describeField({ type, nullable, nonFinite }: FieldPlan): string {
  return `${describeType(type)}${nullable ? ', nullable' : ''}${nonFinite === 'null' ? ', NaN is null' : ''}`
}

/** `avro, framed, subject payments-value, schema {…}`. */
export function describeFormat(format: FormatPlan): string {
  if (format.kind !== 'avro' && format.kind !== 'protobuf') return format.kind
  const { framing, subject, schema } = format
  return [
    format.kind,
    framing === 'registry' ? 'framed' : 'plain',
    ...(subject === null ? [] : [`subject ${subject}`]),
    ...('message' in format && format.message !== null ? [`message ${format.message}`] : []),
    ...(schema === null ? [] : [`schema ${schema}`]),
  ].join(', ')
}

export function describeSelection({ viewVersion }: ServiceFeaturePlan): string {
  return `version ${viewVersion.slice(0, 12)}`
}

/** `sum(amount) over 24h by 15m, default 0`: all of a feature that decides its values. */
export function describeFeature(feature: FeaturePlan, functionText: string | null): string {
  const { aggregation, window, bucketBy, rules, nullShareMax } = feature
  const { kind, input, ...parameters } = aggregation
  const read = input === null ? [] : ['column' in input ? input.column : (functionText ?? 'a function')]
  const given = Object.entries(parameters).map(([name, value]) => `${name} ${JSON.stringify(value)}`)
  const parts = [`${kind}(${[...read, ...given].join(', ')})`]
  if (kind !== 'latest')
    parts.push(
      window.kind === 'lifetime'
        ? 'over lifetime'
        : `over ${describeMs(window.lengthMs)} by ${describeMs(window.hopMs)}`,
    )
  if (bucketBy !== null) parts.push(`by ${bucketBy.column} (at most ${bucketBy.limit})`)
  if (feature.default !== null) parts.push(`default ${JSON.stringify(feature.default)}`)
  for (const { kind: rule, ...limits } of rules) parts.push(`${rule} ${JSON.stringify(limits)}`)
  if (nullShareMax !== null) parts.push(`nulls at most ${nullShareMax}`)
  return parts.join(' ')
}
