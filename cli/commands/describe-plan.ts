import type { PlanReport } from '../../registry/registry.ts'

/** What plan and apply say to people. */
export function describePlan({ changes }: PlanReport, verb: 'would' | 'did'): string[] {
  if (changes.length === 0) return ['Nothing changes: the definitions are as registered.']
  return changes.map(({ kind, name, from, to, backfill, dependants }) => {
    const what = from === null ? 'add' : to === null ? 'remove' : 'change'
    const done = verb === 'did' ? { add: 'added', remove: 'removed', change: 'changed' }[what] : what
    const uses = dependants.length === 0 || kind === 'service' ? '' : `  (used by ${dependants.join(', ')})`
    return `${done.padEnd(8)} ${kind.padEnd(8)} ${name}  ${(to ?? from ?? '').slice(0, 12)}${backfill ? '  values are replayed from history' : ''}${uses}`
  })
}
