import { canonicalJson } from '../features/plan/canonical-json.ts'
import type { SourcePlan } from '../features/plan/source-plan.ts'
import type { ServicePlan, ViewPlan } from '../features/plan/view-plan.ts'
import type { Candidate } from './compile-project.ts'
import { versionOf } from './compile-view.ts'

/** Registered versions of a source's plan, oldest first, by its name. */
export type RegisteredSources = ReadonlyMap<string, readonly SourcePlan[]>

/**
 * Gives each source the number of its layout: the columns with their types, and the event time, that its stored events have, and the format of its records. A layout that the source had
 * before keeps its number, so that a change back finds its history again; another one gets the next. Views carry their source's plan, and services their
 * views' versions, so those follow. Columns in another order are the same layout.
 */
export function numberSourceVersions(candidates: readonly Candidate[], registered: RegisteredSources): Candidate[] {
  const sources = new Map<string, SourcePlan>()
  for (const { kind, plan } of candidates)
    if (kind === 'source') {
      const source = plan as SourcePlan
      sources.set(source.name, numbered(source, registered.get(source.name) ?? []))
    }
  const viewVersions = new Map<string, string>()
  const result = candidates.map((candidate): Candidate => {
    if (candidate.kind === 'source') return withPlan(candidate, sources.get(candidate.name) ?? candidate.plan)
    if (candidate.kind !== 'view') return candidate
    const plan = candidate.plan as ViewPlan
    const view = withPlan(candidate, { ...plan, source: sources.get(plan.source.name) ?? plan.source })
    viewVersions.set(candidate.version, view.version)
    return view
  })
  return result.map((candidate) => {
    if (candidate.kind !== 'service') return candidate
    const plan = candidate.plan as ServicePlan
    const features = plan.features.map((feature) => ({
      ...feature,
      viewVersion: viewVersions.get(feature.viewVersion) ?? feature.viewVersion,
    }))
    return withPlan(candidate, { ...plan, features })
  })
}

function withPlan(candidate: Candidate, plan: unknown): Candidate {
  return { ...candidate, plan, version: versionOf(plan, candidate.code) }
}

function numbered(source: SourcePlan, earlier: readonly SourcePlan[]): SourcePlan {
  const layout = layoutOf(source)
  const same = earlier.findLast((other) => layoutOf(other) === layout)
  if (same !== undefined) {
    const { version } = same
    const fields = same.fields.map(({ name }) => source.fields.find((field) => field.name === name) ?? source.fields[0])
    return version === undefined ? { ...source, fields } : { ...source, fields, version }
  }
  if (earlier.length === 0) return source
  return { ...source, version: 1 + Math.max(...earlier.map(({ version = 1 }) => version)) }
}

/** Whether events of one version are events of another: it drops columns, or adds such as may be null. Their history can then be taken over. */
export function isCompatible(from: SourcePlan, to: SourcePlan): boolean {
  if (from.eventTime !== to.eventTime) return false
  return to.fields.every((field) => {
    const before = from.fields.find(({ name }) => name === field.name)
    return before === undefined ? field.nullable : canonicalJson(before.type) === canonicalJson(field.type)
  })
}

/** What stored events of a source depend on, and how those are read that lie in its topic. */
function layoutOf({ fields, eventTime, format }: SourcePlan): string {
  const written = 'subject' in format ? { ...format, subject: null } : format
  return canonicalJson([eventTime, Object.fromEntries(fields.map(({ name, type }) => [name, type])), written])
}
