import type { PlanDetail } from '../../registry/plan-diff.ts'
import type { CatalogChange, PlanChange } from '../../registry/plan-report.ts'
import type { PlanReport } from '../../registry/registry.ts'
import { describeCount } from '../terminal/describe-amounts.ts'

/** What plan and apply say to people. */
export function describePlan({ changes, catalogue }: PlanReport, verb: 'would' | 'did'): string[] {
  if (changes.length === 0 && catalogue.length === 0) return ['Nothing changes: the definitions are as registered.']
  return [...changes.flatMap((change) => describeChange(change, verb)), ...catalogue.map(describeCatalogChange)]
}

const HOW = {
  replay: 'values are replayed from history',
  fill: 'history is copied into a keyed log of this entity, then replayed',
  'read-again': "history is read again from the source's topic, then replayed",
} as const

const HISTORY = {
  'taken-over': 'a new layout: history is taken over, new columns are null in it',
  'read-again':
    "a new layout: history is read again from the source's topic, what does not fit is refused, and files must be imported again (a new column that is nullable, under the same types, would keep it)",
} as const

function describeChange(change: PlanChange, verb: 'would' | 'did'): string[] {
  const { kind, name, from, to, backfill, dependants, details, estimate, history } = change
  const what = from === null ? 'add' : to === null ? 'remove' : 'change'
  const done = verb === 'did' ? { add: 'added', remove: 'removed', change: 'changed' }[what] : what
  const uses = dependants.length === 0 || kind === 'service' ? '' : `  (used by ${dependants.join(', ')})`
  const events = estimate === null ? '' : ` (about ${describeCount(estimate.events)} events)`
  const replay = backfill
    ? `  ${HOW[estimate?.how ?? 'replay']}${events}`
    : history === null
      ? ''
      : `  ${HISTORY[history]}`
  const line = `${done.padEnd(8)} ${kind.padEnd(8)} ${name}  ${(to ?? from ?? '').slice(0, 12)}${replay}${uses}`
  return what === 'change' ? [line, ...details.map(describeDetail)] : [line]
}

function describeDetail({ change, part, from, to }: PlanDetail): string {
  const sign = { added: '+', removed: '-', changed: '~' }[change]
  const text = change === 'added' ? to : change === 'removed' ? from : `${from} → ${to}`
  return `    ${sign} ${part}: ${oneLine(text ?? '')}`
}

function describeCatalogChange({ kind, name, field, from, to }: CatalogChange): string {
  return `catalogue ${kind.padEnd(8)} ${name}  ${field}: ${oneLine(from ?? '(none)')} → ${oneLine(to ?? '(none)')}`
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ')
  return line.length > 160 ? `${line.slice(0, 159)}…` : line
}
