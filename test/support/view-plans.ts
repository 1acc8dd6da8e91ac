import { aggregationValueType } from '../../features/aggregation/value-type.ts'
import type { CompiledView } from '../../features/kernel/compiled-view.ts'
import type { FieldPlan, FieldType } from '../../features/plan/field-type.ts'
import type { AggregationPlan, FeaturePlan, ViewPlan, WindowPlan } from '../../features/plan/view-plan.ts'

export function field(name: string, type: FieldType, nullable: boolean = false): FieldPlan {
  return { name, type, nullable, nonFinite: 'reject' }
}

export const MINUTE = 60_000
export const HOUR = 3_600_000

export function sliding(lengthMs: number, hopMs: number): WindowPlan {
  return { kind: 'sliding', lengthMs, hopMs }
}

export function feature(name: string, aggregation: AggregationPlan, window: WindowPlan): FeaturePlan {
  return {
    name,
    aggregation,
    window,
    bucketBy: null,
    default: null,
    rules: [],
    nullShareMax: null,
    type: aggregationValueType(aggregation, null),
  }
}

/** A view over events {key, amount (nullable), label (nullable), at} of entity `card`. */
export function testView(features: readonly FeaturePlan[], options: Partial<ViewPlan> = {}): CompiledView {
  const fields = [
    field('key', { kind: 'string' }),
    field('amount', { kind: 'float64' }, true),
    field('label', { kind: 'string' }, true),
    field('at', { kind: 'timestamp' }),
  ]
  const plan: ViewPlan = {
    kind: 'view',
    kernel: 1,
    name: 'test_view',
    entity: { kind: 'entity', name: 'card', columns: [fields[0]] },
    source: {
      kind: 'stream',
      name: 'payments',
      topic: 'payments',
      format: { kind: 'json' },
      fields,
      eventTime: 'at',
      arrival: null,
    },
    where: null,
    features,
    ttlMs: null,
    functionCount: 0,
    ...options,
  }
  return { version: 'test', plan, functions: [] }
}
