import type { StatusName } from '../features/aggregation/result-column.ts'
import { deriveRow } from '../features/kernel/derive.ts'
import { windowInterval } from '../features/kernel/window-interval.ts'
import type { Interval } from '../features/kernel/window-interval.ts'
import type { Value } from '../features/plan/field-type.ts'
import { valueToJson } from '../features/values/json-values.ts'
import type { ServiceLayout } from './service-layout.ts'
import { isAscii } from './view-entry.ts'
import type { HeldState, Stamp, ViewValues } from './view-entry.ts'

export interface ServedVectorParts {
  readonly layout: ServiceLayout
  /** The row's entity keys, in the order of the layout's. */
  readonly keys: readonly Value[]
  /** Of the keys, 32 bits: the same in every process. */
  readonly keyHash: number
  readonly request: readonly Value[]
  readonly views: readonly ViewValues[]
  readonly held: readonly HeldState[]
  readonly evaluatedAt: number
}

/** One row of an answer. Values may be shared with later answers: do not change them. */
export class ServedVector {
  readonly parts: ServedVectorParts
  readonly #derived: { readonly values: readonly Value[]; readonly statuses: readonly StatusName[] }

  constructor(parts: ServedVectorParts) {
    this.parts = parts
    this.#derived = derive(parts)
  }

  /** Epoch ms. */
  get evaluatedAt(): number {
    return this.parts.evaluatedAt
  }

  /** Features in order, then request fields, then derived fields. */
  get values(): Value[] {
    return [...featureValues(this.parts), ...this.parts.request, ...this.#derived.values]
  }

  get statuses(): StatusName[] {
    const { layout, views, request } = this.parts
    const features = layout.runs.flatMap(({ view, run }) => views[view].statuses[run])
    return [...features, ...request.map((): StatusName => 'PRESENT'), ...this.#derived.statuses]
  }

  get stamps(): Stamp[] {
    return this.parts.held.map(({ stamp }) => stamp)
  }

  /** In the order of the values: which span of time each covers; null where that is no window. */
  get intervals(): (Interval | null)[] {
    const { layout, evaluatedAt } = this.parts
    const { request, derived } = layout.service.plan
    const features = layout.runs.flatMap(({ view, run }) => {
      const part = layout.views[view]
      return part.runs[run].map((feature) => windowInterval(part.view.plan.features[feature], evaluatedAt))
    })
    return [...features, ...[...request, ...derived].map(() => null)]
  }

  /** Whether the row's JSON is ASCII. */
  get isAscii(): boolean {
    const { views, request } = this.parts
    for (const view of views) if (!view.isAscii) return false
    return request.every(isAsciiValue) && this.#derived.values.every(isAsciiValue)
  }

  /** The row as it stands in an answer: exact numbers. */
  toJson(intervals: boolean = false): string {
    const { layout, views, request, evaluatedAt, held } = this.parts
    let values = ''
    let statuses = ''
    for (const { view, run } of layout.runs) {
      const comma = values === '' ? '' : ','
      values += comma + views[view].valuesJson[run]
      statuses += comma + views[view].statusesJson[run]
    }
    for (const value of request) {
      values += `${values === '' ? '' : ','}${valueToJson(value)}`
      statuses += statuses === '' ? '"PRESENT"' : ',"PRESENT"'
    }
    this.#derived.values.forEach((value, i) => {
      values += `,${valueToJson(value)}`
      statuses += `,"${this.#derived.statuses[i]}"`
    })
    let stampList = ''
    for (const { stampJson } of held) stampList += stampList === '' ? stampJson : `,${stampJson}`
    const more = intervals ? `,"intervals":${JSON.stringify(this.intervals)}` : ''
    return `{"values":[${values}],"statuses":[${statuses}],"evaluatedAt":${evaluatedAt},"stamps":[${stampList}]${more}}`
  }
}

function isAsciiValue(value: Value): boolean {
  return typeof value === 'number' || isAscii(valueToJson(value))
}

const NOTHING = { values: [], statuses: [] } as const

function featureValues({ layout, views }: ServedVectorParts): Value[] {
  return layout.runs.flatMap(({ view, run }) => views[view].values[run])
}

function derive(parts: ServedVectorParts): { values: readonly Value[]; statuses: readonly StatusName[] } {
  const { service, failures } = parts.layout
  if (service.plan.derived.length === 0) return NOTHING
  const values = [...featureValues(parts), ...parts.request]
  const given = values.length
  const statuses: StatusName[] = []
  deriveRow(service, values, statuses, failures)
  return { values: values.slice(given), statuses }
}
