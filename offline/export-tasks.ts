import type { CompiledService } from '../features/kernel/compiled-view.ts'
import type { FunctionFailure } from '../features/kernel/function-failures.ts'
import { ViewKernel } from '../features/kernel/view-kernel.ts'
import type { ServicePlan, ViewPlan } from '../features/plan/view-plan.ts'
import { loadBundle } from '../registry/compartment.ts'
import { encodeRowGroup } from './encode-row-group.ts'
import type { EncodedRowGroup, RowGroupTask } from './encode-row-group.ts'
import { loadRowGroup } from './load-row-group.ts'
import type { RowGroupLoad, RowGroupRead } from './load-row-group.ts'
import { ResultSpill } from './result-spill.ts'
import { readSpineRowGroup } from './spine-rows.ts'
import type { SpineRowGroup, SpineRowsRead } from './spine-rows.ts'
import { openTarget } from './sweep-target.ts'
import type { StoredResults, SweepTarget } from './sweep-target.ts'
import { newestOfUnit, sweepUnit } from './sweep-unit.ts'
import type { NewestOfUnit, SweepUnit } from './sweep-unit.ts'

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
  | { readonly kind: 'spine'; readonly group: SpineRowGroup }
  | { readonly kind: 'load'; readonly load: RowGroupLoad }
  | { readonly kind: 'sweep'; readonly view: number; readonly unit: SweepUnit; readonly target: SweepTarget }
  | { readonly kind: 'newest'; readonly view: number; readonly unit: SweepUnit }
  | ({ readonly kind: 'encode' } & RowGroupTask)

export interface SweptUnit extends StoredResults {
  /** Calls of user functions that threw or returned a wrong type. */
  readonly failures: readonly FunctionFailure[]
}

/** By kind of task. */
export interface ExportResults {
  readonly spine: SpineRowsRead
  readonly load: RowGroupRead
  readonly sweep: SweptUnit
  readonly newest: NewestOfUnit
  readonly encode: EncodedRowGroup
}

export type ExportResult = ExportResults[keyof ExportResults]

/** Runs an export's tasks; state between tasks is what is compiled, and a file of results. */
export class TaskRunner {
  readonly #service: CompiledService
  readonly #kernels: readonly ViewKernel[]
  readonly #thread: number
  #spill: ResultSpill | null = null

  constructor({ service, views }: ExportProgram, thread: number) {
    this.#service = loaded(service)
    this.#kernels = views.map((view) => new ViewKernel(loaded(view)))
    this.#thread = thread
  }

  run(task: ExportTask): ExportResult {
    switch (task.kind) {
      case 'spine':
        return readSpineRowGroup(task.group)
      case 'load':
        return loadRowGroup(task.load)
      case 'newest':
        return this.#newest(this.#kernels[task.view], task.unit)
      case 'sweep':
        return this.#sweep(this.#kernels[task.view], task.unit, task.target)
      case 'encode':
        return encodeRowGroup(this.#service, task)
    }
  }

  /** The functions run again in the sweep, and are counted there. */
  #newest(kernel: ViewKernel, unit: SweepUnit): NewestOfUnit {
    const newest = newestOfUnit(kernel, unit)
    kernel.failures.take()
    return newest
  }

  #sweep(kernel: ViewKernel, unit: SweepUnit, target: SweepTarget): SweptUnit {
    const types = kernel.view.plan.features.map(({ type }) => type)
    const spill = (): ResultSpill =>
      (this.#spill ??= new ResultSpill(target.kind === 'spill' ? target.folder : '', this.#thread))
    const stored = sweepUnit(kernel, unit, (rows) => openTarget(target, types, rows, spill))
    return { ...stored, failures: kernel.failures.take() }
  }

  close(): void {
    this.#spill?.close()
  }
}

function loaded<P extends { readonly name: string }>({ version, plan, code }: StoredVersion<P>) {
  return { version, plan, functions: code === '' ? [] : loadBundle(code, `${plan.name}-${version.slice(0, 12)}`) }
}
