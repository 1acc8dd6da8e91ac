import type { CompiledService } from '../features/kernel/compiled-view.ts'
import { vectorNames } from '../inference/service-layout.ts'
import type { ServedVector } from '../inference/served-vector.ts'

/** 'simulated' is marked in every answer. */
export type Clock = 'real' | 'simulated'

export interface AnswerOptions {
  readonly clock: Clock
  /** Each row also says which span of time each value covers. */
  readonly intervals?: boolean
}

/** The documented body, with exact numbers. */
export function answer(
  service: CompiledService,
  vectors: readonly ServedVector[],
  { clock, intervals = false }: AnswerOptions,
): string {
  let rows = ''
  for (const vector of vectors) rows += rows === '' ? vector.toJson(intervals) : `,${vector.toJson(intervals)}`
  return `${head(service, clock)}${rows}]}`
}

const heads = new WeakMap<CompiledService, Map<Clock, string>>()

function head(service: CompiledService, clock: Clock): string {
  const made = heads.get(service) ?? new Map<Clock, string>()
  heads.set(service, made)
  const known = made.get(clock)
  if (known !== undefined) return known
  const mark = clock === 'simulated' ? '"clock":"simulated",' : ''
  const text = `{"service":${JSON.stringify(service.plan.name)},"version":"${service.version}",${mark}"features":${JSON.stringify(vectorNames(service))},"rows":[`
  made.set(clock, text)
  return text
}

/** Whether the body of these rows is ASCII: names always are. */
export function isAsciiAnswer(vectors: readonly ServedVector[]): boolean {
  for (const vector of vectors) if (!vector.isAscii) return false
  return true
}
