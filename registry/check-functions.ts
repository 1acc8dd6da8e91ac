import type { ServicePlan, ViewPlan } from '../features/plan/view-plan.ts'
import { loadBundle, probeBundle } from './compartment.ts'
import type { Refuse } from './compile-source.ts'
import { functionReads } from './function-reads.ts'
import { sampleRecords } from './sample-records.ts'
import type { SampleField } from './sample-records.ts'
import { didYouMean } from '../features/errors/closest-name.ts'

/** The functions of a bundle, one by one: each by the name of what it belongs to, reading only what is there. */
export function checkViewFunctions(plan: ViewPlan, code: string, refuse: Refuse): void {
  const columns = plan.source.fields.map(({ name }) => name)
  probe(functionNames(plan), `view ${plan.name}`, code, plan.source.fields, refuse)
  checkEach(functionNames(plan), plan.name, code, refuse, () => ({
    of: `view ${plan.name}`,
    argument: `an event of source ${plan.source.name}`,
    has: columns,
  }))
}

export function checkServiceFunctions(plan: ServicePlan, code: string, refuse: Refuse): void {
  const fields = [...plan.features.map(({ fullName }) => fullName), ...plan.request.map(({ name }) => name)]
  const derived = plan.derived.map(({ name }) => name)
  const typed = [
    ...plan.features.map(({ fullName, type }) => ({ name: fullName, type, nullable: true })),
    ...plan.request,
    ...plan.derived.map(({ name, type }) => ({ name, type, nullable: true })),
  ]
  probe(derived, `service ${plan.name}`, code, typed, refuse)
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

const PROBE_TIMEOUT_MS = 2000

/** Calls the functions with made-up arguments, in two compartments and orders: a function of its argument alone gives the same, and returns. */
function probe(
  names: readonly string[],
  of: string,
  code: string,
  fields: readonly SampleField[],
  refuse: Refuse,
): void {
  if (names.length === 0) return
  const samples = sampleRecords(fields)
  const forth = probeBundle(code, 'probe', samples, PROBE_TIMEOUT_MS)
  const back = probeBundle(code, 'probe', samples.toReversed(), PROBE_TIMEOUT_MS)
  if (forth === null || back === null)
    return refuse(
      of.split(' ')[1],
      `the functions of ${of} (${names.join(', ')}) do not all return: ${samples.length} made-up arguments took more than ${PROBE_TIMEOUT_MS / 1000} s. Is there a loop without end?`,
    )
  names.forEach((name, i) => {
    const other = back[i]?.toReversed() ?? []
    if (forth[i]?.some((outcome, at) => outcome !== other[at]))
      refuse(
        name,
        `the function of ${name} of ${of} gives different values for one argument: it remembers what it was called with before. Compute from the argument alone`,
      )
  })
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
    const { names: read, changes, isDeferred } = functionReads(fn)
    if (isDeferred)
      refuse(
        names[i],
        `the function of ${names[i]} of ${of} is async or a generator: it must return its value, not a promise or an iterator`,
      )
    const unknown = read.find((name) => !has.includes(name))
    if (unknown !== undefined)
      refuse(
        unknown,
        `the function of ${names[i]} of ${of} reads ${unknown}, but ${argument} has only ${has.join(', ')}${didYouMean(unknown, has)}`,
      )
    if (changes.length > 0)
      refuse(
        names[i],
        `the function of ${names[i]} of ${of} changes its argument (${changes[0]}): compute a new value, as in [...list].sort()`,
      )
  })
}
