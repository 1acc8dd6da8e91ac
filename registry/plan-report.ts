import type { Candidate, CatalogEntry, DefinitionKind } from './compile-project.ts'
import { dependants } from './compile-project.ts'
import { sourceLogName } from '../features/plan/source-plan.ts'
import type { SourcePlan } from '../features/plan/source-plan.ts'
import type { ViewPlan } from '../features/plan/view-plan.ts'
import { isCompatible } from './source-versions.ts'
import { describeSchedule } from './schedules.ts'
import type { TableSchedule } from './schedules.ts'
import { diffDefinition } from './plan-diff.ts'
import type { Compiled, PlanDetail } from './plan-diff.ts'

export interface PlanChange {
  readonly kind: DefinitionKind
  readonly name: string
  /** Version before, null if new; version after, null if removed. */
  readonly from: string | null
  readonly to: string | null
  /** Whether stored history must be replayed before the change can serve. */
  readonly backfill: boolean
  /** Names of the services that read it. */
  readonly dependants: readonly string[]
  /** What differs inside, part by part; for a new definition its parts. */
  readonly details: readonly PlanDetail[]
  /** What the backfill reads, where that is known. */
  readonly estimate: PlanEstimate | null
  /** Of a source whose layout changes: what becomes of its history. */
  readonly history: SourceHistory | null
}

export interface PlanEstimate {
  /** About so many. */
  readonly events: number
  /** From the view's keyed log; or that is first filled from others; or the source's topic is read again from its beginning. */
  readonly how: 'replay' | 'fill' | 'read-again'
}

/** `taken-over`: with origins and arrivals, new columns are null in it. `read-again`: from the source's topic; files have to be imported again. */
export type SourceHistory = 'taken-over' | 'read-again'

/** A changed owner, tag, description or freshness: told, but no new version. */
export interface CatalogChange {
  readonly kind: DefinitionKind
  readonly name: string
  readonly field: 'owner' | 'tags' | 'description' | 'freshness' | 'schedule'
  readonly from: string | null
  readonly to: string | null
}

export interface PlanReport {
  readonly changes: readonly PlanChange[]
  readonly catalogue: readonly CatalogChange[]
}

/** What a new version of a view has to read; null: nothing, or nobody knows. */
export type CountEvents = (view: ViewPlan) => Promise<PlanEstimate | null>

/** What a report compares with. */
export interface ReportSource {
  readonly candidates: readonly Candidate[]
  registered(kind: DefinitionKind): Promise<ReadonlyMap<string, string>>
  compiled(kind: DefinitionKind, version: string): Promise<Compiled | null>
  catalog(): Promise<readonly CatalogEntry[]>
  readonly countEvents: CountEvents | null
}

export const KINDS: readonly DefinitionKind[] = ['source', 'entity', 'view', 'service']

/** The semantic difference between the project and what is registered. */
export async function planReport(source: ReportSource): Promise<PlanReport> {
  const changes: PlanChange[] = []
  for (const kind of KINDS) {
    const registered = await source.registered(kind)
    const wanted = new Map(source.candidates.filter((other) => other.kind === kind).map((other) => [other.name, other]))
    for (const [name, candidate] of wanted) {
      const from = registered.get(name) ?? null
      if (from !== candidate.version) changes.push(await planChange(source, candidate, from))
    }
    for (const [name, from] of registered) if (!wanted.has(name)) changes.push(await removal(source, kind, name, from))
  }
  return { changes, catalogue: catalogChanges(await source.catalog(), source.candidates) }
}

async function planChange(source: ReportSource, candidate: Candidate, from: string | null): Promise<PlanChange> {
  const { kind, name, version } = candidate
  const before = from === null ? null : await source.compiled(kind, from)
  const estimate = kind === 'view' ? ((await source.countEvents?.(candidate.plan as ViewPlan)) ?? null) : null
  const backfill = kind === 'view' && (from !== null || estimate !== null)
  return {
    kind,
    name,
    from,
    to: version,
    backfill,
    dependants: dependants(source.candidates, kind, name),
    details: diffDefinition(kind, before, candidate),
    estimate,
    history:
      kind === 'source' && before !== null ? historyOf(before.plan as SourcePlan, candidate.plan as SourcePlan) : null,
  }
}

async function removal(source: ReportSource, kind: DefinitionKind, name: string, from: string): Promise<PlanChange> {
  return {
    kind,
    name,
    from,
    to: null,
    backfill: false,
    dependants: dependants(source.candidates, kind, name),
    details: diffDefinition(kind, await source.compiled(kind, from), null),
    estimate: null,
    history: null,
  }
}

function historyOf(before: SourcePlan, after: SourcePlan): SourceHistory | null {
  if (sourceLogName(before) === sourceLogName(after)) return null
  return isCompatible(before, after) ? 'taken-over' : 'read-again'
}

function catalogChanges(registered: readonly CatalogEntry[], candidates: readonly Candidate[]): CatalogChange[] {
  const changes: CatalogChange[] = []
  for (const entry of registered) {
    const candidate = candidates.find(({ kind, name }) => kind === entry.kind && name === entry.name)
    if (candidate === undefined) continue
    for (const field of ['owner', 'tags', 'description', 'freshness', 'schedule'] as const) {
      const [from, to] = [textOf(entry[field] ?? null), textOf(candidate.catalog[field])]
      if (from !== to) changes.push({ kind: entry.kind, name: entry.name, field, from, to })
    }
  }
  return changes
}

function textOf(value: string | TableSchedule | Readonly<Record<string, string>> | null): string | null {
  if (value === null || typeof value === 'string') return value
  if (isSchedule(value)) return describeSchedule(value)
  const tags = Object.entries(value).map(([tag, text]) => `${tag}=${text}`)
  return tags.length === 0 ? null : tags.sort().join(' ')
}

function isSchedule(value: TableSchedule | Readonly<Record<string, string>>): value is TableSchedule {
  return Array.isArray(value.files)
}
