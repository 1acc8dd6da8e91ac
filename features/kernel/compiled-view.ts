import type { ServicePlan, ViewPlan } from '../plan/view-plan.ts'

/** A user's pure function, loaded from registered code: input expressions and `where` take an event, derived fields take a vector. */
export type UserFunction = (argument: object) => unknown

/** A registered view version, ready to run: any process can load it from the registry without the working tree. */
export interface CompiledView {
  /** SHA-256 hex. */
  readonly version: string
  readonly plan: ViewPlan
  readonly functions: readonly UserFunction[]
}

export interface CompiledService {
  readonly version: string
  readonly plan: ServicePlan
  readonly functions: readonly UserFunction[]
}
