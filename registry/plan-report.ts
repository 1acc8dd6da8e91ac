import type { Candidate, CatalogEntry, DefinitionKind } from './compile-project.ts'
import { dependants } from './compile-project.ts'
import type { ViewPlan } from '../features/plan/view-plan.ts'
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
  /** What the backfill replays, where that is known. */
  readonly estimate: PlanEstimate | null
}

export interface PlanEstimate {
  /** Events of the keyed log that the view reads. */
  readonly events: number
}

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

/** Number of events of a keyed log (`<source>.<entity>`), or null where nobody knows. */
export type CountEvents = (keyedLog: string) => Promise<number | null>

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
  const backfill = kind === 'view' && from !== null
  const plan = candidate.plan as ViewPlan
  const events = backfill ? ((await source.countEvents?.(`${plan.source.name}.${plan.entity.name}`)) ?? null) : null
  return {
    kind,
    name,
    from,
    to: version,
    backfill,
    dependants: dependants(source.candidates, kind, name),
    details: diffDefinition(kind, before, candidate),
    estimate: events === null ? null : { events },
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
  }
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
  if (Array.isArray(value.files)) return `${value.cron} from ${value.files.join(', ')}`
  const tags = Object.entries(value).map(([tag, text]) => `${tag}=${text}`)
  return tags.length === 0 ? null : tags.sort().join(' ')
}
