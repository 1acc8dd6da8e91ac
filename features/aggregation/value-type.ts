import type { FieldType, ValueType } from '../plan/field-type.ts'
import type { AggregationPlan } from '../plan/view-plan.ts'

/** The type of an aggregation's value; with `bucketBy` a map from the bucket column's type. */
export function aggregationValueType(aggregation: AggregationPlan, bucketBy: FieldType | null): ValueType {
  const value = plainType(aggregation)
  return bucketBy === null ? value : { kind: 'map', key: bucketBy, value }
}

function plainType(aggregation: AggregationPlan): ValueType {
  switch (aggregation.kind) {
    case 'count':
    case 'countWhere':
    case 'distinctCount':
    case 'approxDistinctCount':
      return { kind: 'count' }
    case 'sum': {
      const { kind } = aggregation.input.type
      return kind === 'int32' || kind === 'int64' ? { kind: 'int64' } : { kind: 'float64' }
    }
    case 'min':
    case 'max':
    case 'first':
    case 'last':
    case 'latest':
      return aggregation.input.type
    case 'firstN':
    case 'lastN':
    case 'topN':
    case 'bottomN':
      return { kind: 'list', of: aggregation.input.type }
    case 'any':
    case 'all':
      return { kind: 'bool' }
    case 'valueCounts':
      return { kind: 'map', key: aggregation.input.type, value: { kind: 'count' } }
    case 'histogram':
      return { kind: 'list', of: { kind: 'count' } }
    case 'vectorSum':
    case 'vectorMean':
      return aggregation.input.type
    default:
      return { kind: 'float64' }
  }
}
