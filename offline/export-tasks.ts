import type { ResultColumn } from '../features/aggregation/result-column.ts'
import type { CompiledService } from '../features/kernel/compiled-view.ts'
import type { FunctionFailure } from '../features/kernel/function-failures.ts'
import { ViewKernel } from '../features/kernel/view-kernel.ts'
import type { ServicePlan, ViewPlan } from '../features/plan/view-plan.ts'
import { loadBundle } from '../registry/compartment.ts'
import { encodeRowGroup } from './encode-row-group.ts'
import type { EncodedRowGroup, RowGroupTask } from './encode-row-group.ts'
import { newestOfUnit, sweepUnit } from './sweep-unit.ts'
import type { SweepUnit } from './sweep-unit.ts'

/** A registered version as any thread can load it. */
export interface StoredVersion<P> {
  readonly version: string
  readonly plan: P
  /** The bundle; '' without functions. */
  readonly code: string
}

/** What the threads of an export need to know: a service and the views it reads. */
export interface ExportProgram {
  readonly service: StoredVersion<ServicePlan>
  readonly views: readonly StoredVersion<ViewPlan>[]
}

export type ExportTask =
  | { readonly kind: 'sweep'; readonly view: number; readonly unit: SweepUnit }
  | { readonly kind: 'newest'; readonly view: number; readonly unit: SweepUnit }
  | ({ readonly kind: 'encode' } & RowGroupTask)

export interface SweptUnit {
  readonly columns: readonly ResultColumn[]
  /** Calls of user functions that gave nothing. */
  readonly failures: readonly FunctionFailure[]
}

export interface NewestOfUnit {
  /** By row of the unit's result, see `newestOfUnit`. */
  readonly newest: Float64Array
}

export type ExportResult = SweptUnit | NewestOfUnit | EncodedRowGroup

/** Runs an export's tasks; state between tasks is only what is compiled. */
export class TaskRunner {
  readonly #service: CompiledService
  readonly #kernels: readonly ViewKernel[]

  constructor({ service, views }: ExportProgram) {
    this.#service = loaded(service)
    this.#kernels = views.map((view) => new ViewKernel(loaded(view)))
  }

  run(task: ExportTask): ExportResult {
    if (task.kind === 'encode') return encodeRowGroup(this.#service, task)
    const kernel = this.#kernels[task.view]
    if (task.kind === 'newest') return { newest: newestOfUnit(kernel, task.unit) }
    return { columns: sweepUnit(kernel, task.unit), failures: kernel.failures.take() }
  }
}

function loaded<P extends { readonly name: string }>({ version, plan, code }: StoredVersion<P>) {
  return { version, plan, functions: code === '' ? [] : loadBundle(code, `${plan.name}-${version.slice(0, 12)}`) }
}
