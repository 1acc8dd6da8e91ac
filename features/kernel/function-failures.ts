/** Why a user function gave nothing: it threw, took more steps than a call may, returned a value of another type than declared, or a number that is not finite. */
export type FunctionFailureCode =
  'TM_FUNCTION_THROW' | 'TM_FUNCTION_STEPS' | 'TM_FUNCTION_TYPE' | 'TM_FUNCTION_NON_FINITE'

export interface FunctionFailure {
  /** `where`, or the feature or derived field that the function computes; the first one where several share it. */
  readonly function: string
  readonly code: FunctionFailureCode
  readonly count: number
}

/** Counts calls of user functions that gave nothing. What they stand for is null (false in `where`, INVALID in `derive`) whether it is counted or not. */
export class FunctionFailures {
  readonly #counts = new Map<string, FunctionFailure>()

  get isEmpty(): boolean {
    return this.#counts.size === 0
  }

  threw(name: string, error: unknown): void {
    this.#add(name, isOutOfSteps(error) ? 'TM_FUNCTION_STEPS' : 'TM_FUNCTION_THROW', 1)
  }

  /** `result`: what the function returned, and its type did not allow. */
  returned(name: string, result: unknown): void {
    const code = typeof result === 'number' && !Number.isFinite(result) ? 'TM_FUNCTION_NON_FINITE' : 'TM_FUNCTION_TYPE'
    this.#add(name, code, 1)
  }

  add(failures: readonly FunctionFailure[]): void {
    for (const { function: name, code, count } of failures) this.#add(name, code, count)
  }

  /** By function and code, in that order. */
  list(): FunctionFailure[] {
    return [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, failure]) => failure)
  }

  /** The same, and counting begins anew. */
  take(): FunctionFailure[] {
    const failures = this.list()
    this.#counts.clear()
    return failures
  }

  #add(name: string, code: FunctionFailureCode, count: number): void {
    const key = `${name} ${code}`
    this.#counts.set(key, { function: name, code, count: (this.#counts.get(key)?.count ?? 0) + count })
  }
}

/** How an error begins that ends a function which took too many steps (see `registry/meter.ts`). */
export const OUT_OF_STEPS = 'out of steps:'

/** By text: the error is of the realm of the user functions. */
function isOutOfSteps(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  const text: unknown = Object.getOwnPropertyDescriptor(error, 'message')?.value
  return typeof text === 'string' && text.startsWith(OUT_OF_STEPS)
}
