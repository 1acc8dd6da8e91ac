import type { FieldPlan } from './field-type.ts'
import type { FormatPlan } from './format-plan.ts'

/** A stream (a topic) or a table (fed by import). Its version changes when its event time, its format or the type of a field changes. */
export interface SourcePlan {
  /** Number of its layout (see `registry/source-versions.ts`); absent: the first. */
  readonly version?: number
  readonly kind: 'stream' | 'table'
  readonly name: string
  /** The source topic. Tables have one too, named after the table: `produce` and `import` work for both. */
  readonly topic: string
  readonly format: FormatPlan
  readonly fields: readonly FieldPlan[]
  /** Name of the timestamp field that is the event time. */
  readonly eventTime: string
  /** Name of the timestamp field that says when the fact could be known (import only), or null: the append time (stream), the event time (import). */
  readonly arrival: string | null
}

/** What the logs of a source version are named after: the source's name, for later versions with their number. */
export function sourceLogName({ name, version = 1 }: SourcePlan): string {
  return version === 1 ? name : `${name}.${version}`
}

/** A named key: one or more typed columns. */
export interface EntityPlan {
  readonly kind: 'entity'
  readonly name: string
  readonly columns: readonly FieldPlan[]
}
