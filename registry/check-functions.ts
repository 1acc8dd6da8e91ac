import type { ServicePlan, ViewPlan } from '../features/plan/view-plan.ts'
import { loadBundle } from './compartment.ts'
import type { Refuse } from './compile-source.ts'
import { functionReads } from './function-reads.ts'

/** The functions of a bundle, one by one: each by the name of what it belongs to, reading only what is there. */
export function checkViewFunctions(plan: ViewPlan, code: string, refuse: Refuse): void {
  const columns = plan.source.fields.map(({ name }) => name)
  checkEach(functionNames(plan), plan.name, code, refuse, () => ({
    of: `view ${plan.name}`,
    argument: `an event of source ${plan.source.name}`,
    has: columns,
  }))
}

export function checkServiceFunctions(plan: ServicePlan, code: string, refuse: Refuse): void {
  const fields = [...plan.features.map(({ fullName }) => fullName), ...plan.request.map(({ name }) => name)]
  const derived = plan.derived.map(({ name }) => name)
  checkEach(derived, plan.name, code, refuse, (i) => ({
    of: `service ${plan.name}`,
    argument: 'the vector',
    has: [...fields, ...derived.slice(0, i)],
  }))
}

/** `where`, then the features with a function, by function number. */
export function functionNames(plan: ViewPlan): string[] {
  const names: string[] = plan.where === null ? [] : ['where']
  for (const { name, aggregation } of plan.features)
    if (aggregation.input !== null && 'fn' in aggregation.input) names[aggregation.input.fn] = name
  return names
}

interface Argument {
  readonly of: string
  readonly argument: string
  readonly has: readonly string[]
}

function checkEach(
  names: readonly string[],
  definition: string,
  code: string,
  refuse: Refuse,
  argumentOf: (i: number) => Argument,
): void {
  if (names.length === 0) return
  const functions = loadBundle(code, definition)
  if (functions.length !== names.length)
    refuse(
      definition,
      `${definition} has ${names.length} functions, its bundle ${functions.length}: export the definition under one name and do not build features in place`,
    )
  functions.forEach((fn, i) => {
    const { of, argument, has } = argumentOf(i)
    const { names: read, changes } = functionReads(fn)
    const unknown = read.find((name) => !has.includes(name))
    if (unknown !== undefined)
      refuse(
        unknown,
        `the function of ${names[i]} of ${of} reads ${unknown}, but ${argument} has only ${has.join(', ')}`,
      )
    if (changes.length > 0)
      refuse(
        names[i],
        `the function of ${names[i]} of ${of} changes its argument (${changes[0]}): compute a new value, as in [...list].sort()`,
      )
  })
}
