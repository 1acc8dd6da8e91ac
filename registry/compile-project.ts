import type { ServiceDefinition } from '../features/authoring/feature-service.ts'
import type { ViewDefinition } from '../features/authoring/feature-view.ts'
import type { ViewPlan } from '../features/plan/view-plan.ts'
import { bundleFunctions } from './bundle.ts'
import { checkServiceFunctions, checkViewFunctions } from './check-functions.ts'
import { compileService } from './compile-service.ts'
import { compileEntity, compileSource } from './compile-source.ts'
import type { Refuse } from './compile-source.ts'
import { compileView, versionOf } from './compile-view.ts'
import { failRegistry } from './errors.ts'
import type { CatalogField } from './lineage.ts'
import { compileSchedule } from './schedules.ts'
import type { TableSchedule } from './schedules.ts'
import { lineWith, loadProject } from './load-project.ts'
import type { Located } from './load-project.ts'

export type DefinitionKind = 'source' | 'entity' | 'view' | 'service'

export interface CatalogEntry {
  readonly kind: DefinitionKind
  readonly name: string
  readonly version: string
  readonly owner: string | null
  readonly tags: Readonly<Record<string, string>>
  readonly description: string | null
  readonly freshness: string | null
  /** Of a table. */
  readonly schedule: TableSchedule | null
  /** What it reads: `kind:name`. */
  readonly reads: readonly string[]
  /** What reads it: `kind:name`. */
  readonly readBy: readonly string[]
  /** Features of a view, the vector of a service, with their lineage; empty for sources and entities. */
  readonly fields: readonly CatalogField[]
}

/** A compiled definition, not yet registered. */
export interface Candidate {
  readonly kind: DefinitionKind
  readonly name: string
  readonly version: string
  readonly plan: unknown
  readonly code: string
  readonly catalog: Omit<CatalogEntry, 'kind' | 'name' | 'version' | 'readBy' | 'fields'>
}

const NO_DESCRIPTION = { owner: null, tags: {}, description: null, freshness: null, schedule: null }

/** Loads, validates and compiles every definition of a project. Errors name file, line and reason. */
export async function compileProject(projectDir: string): Promise<Candidate[]> {
  const project = await loadProject(projectDir)
  for (const group of [project.entities, project.sources, project.views, project.services]) checkUnique(group)
  const candidates: Candidate[] = []
  for (const located of project.entities) {
    const plan = compileEntity(located.definition, refuser(located))
    candidates.push({
      kind: 'entity',
      name: plan.name,
      plan,
      version: versionOf(plan, ''),
      code: '',
      catalog: { ...NO_DESCRIPTION, reads: [] },
    })
  }
  for (const located of project.sources) {
    const plan = compileSource(located.definition, refuser(located))
    candidates.push({
      kind: 'source',
      name: plan.name,
      plan,
      version: versionOf(plan, ''),
      code: '',
      catalog: { ...NO_DESCRIPTION, schedule: compileSchedule(located.definition, refuser(located)), reads: [] },
    })
  }
  for (const located of project.views) candidates.push(await viewCandidate(located))
  for (const located of project.services) candidates.push(await serviceCandidate(located, candidates))
  addImplied(candidates, project.views)
  return candidates
}

function refuser(located: Located<{ name: string }>): Refuse {
  return (about, problem) => {
    throw failRegistry(
      'TM_DEFINITION_INVALID',
      `${located.file}:${lineWith(located.file, about, located.definition.name, located.exportName)}: ${problem}`,
      {
        details: { file: located.file, definition: located.definition.name },
      },
    )
  }
}

async function viewCandidate(
  located: Parameters<typeof refuser>[0] & Located<Parameters<typeof compileView>[0]>,
): Promise<Candidate> {
  const refuse = refuser(located)
  const plan = compileView(located.definition, refuse)
  const code = plan.functionCount === 0 ? '' : await bundleFunctions(located.file, located.exportName)
  checkViewFunctions(plan, code, refuse)
  const { owner = null, tags = {}, description = null, freshness = null } = located.definition.options
  const reads = [`source:${plan.source.name}`, `entity:${plan.entity.name}`]
  return {
    kind: 'view',
    name: plan.name,
    plan,
    code,
    version: versionOf(plan, code),
    catalog: { owner, tags, description, freshness, schedule: null, reads },
  }
}

async function serviceCandidate(
  located: Located<ServiceDefinition>,
  candidates: readonly Candidate[],
): Promise<Candidate> {
  const { definition } = located
  const refuse = refuser(located)
  const plan = compileService(
    definition,
    (name) => {
      const found = candidates.find((candidate) => candidate.kind === 'view' && candidate.name === name)
      return found === undefined ? null : { plan: found.plan as ViewPlan, version: found.version }
    },
    refuse,
  )
  const code = plan.functionCount === 0 ? '' : await bundleFunctions(located.file, located.exportName)
  checkServiceFunctions(plan, code, refuse)
  const { owner, tags, description } = definition
  const reads = [...new Set(plan.features.map(({ view }) => `view:${view}`))]
  return {
    kind: 'service',
    name: plan.name,
    plan,
    code,
    version: versionOf(plan, code),
    catalog: { ...NO_DESCRIPTION, owner, tags, description, reads },
  }
}

/** Sources and entities that views use without a file exporting them. One name means one thing in a project. */
function addImplied(candidates: Candidate[], views: readonly Located<ViewDefinition>[]): void {
  for (const { kind, plan } of candidates.filter((candidate) => candidate.kind === 'view')) {
    if (kind !== 'view') continue
    const { source, entity } = plan as ViewPlan
    for (const [implied, of] of [
      [source, 'source'],
      [entity, 'entity'],
    ] as const) {
      const version = versionOf(implied, '')
      const known = candidates.find((candidate) => candidate.kind === of && candidate.name === implied.name)
      if (known !== undefined && known.version !== version)
        throw failRegistry(
          'TM_DEFINITION_DUPLICATE',
          `view ${(plan as ViewPlan).name} uses another ${of} named ${implied.name} than the rest of the project: rename one, or export one and import it`,
        )
      if (known !== undefined) continue
      candidates.push({
        kind: of,
        name: implied.name,
        plan: implied,
        version,
        code: '',
        catalog: {
          ...NO_DESCRIPTION,
          schedule: of === 'source' ? scheduleOf(views, plan as ViewPlan) : null,
          reads: [],
        },
      })
    }
  }
}

function scheduleOf(views: readonly Located<ViewDefinition>[], { name }: ViewPlan): TableSchedule | null {
  const located = views.find(({ definition }) => definition.name === name)
  return located === undefined ? null : compileSchedule(located.definition.options.from, refuser(located))
}

function checkUnique(group: readonly Located<{ name: string }>[]): void {
  const seen = new Map<string, Located<{ name: string }>>()
  for (const located of group) {
    const { name } = located.definition
    const other = seen.get(name)
    if (other !== undefined)
      throw failRegistry(
        'TM_DEFINITION_DUPLICATE',
        `${located.file}:${lineWith(located.file, located.exportName)}: ${located.exportName} is named ${name}, and so is ${other.exportName} in ${other.file}: rename one`,
        { details: { file: located.file, definition: name } },
      )
    seen.set(name, located)
  }
}

/** Services that read a definition, directly or through views. */
export function dependants(candidates: readonly Candidate[], kind: DefinitionKind, name: string): string[] {
  const views =
    kind === 'view'
      ? [name]
      : candidates.filter((c) => c.kind === 'view' && c.catalog.reads.includes(`${kind}:${name}`)).map((c) => c.name)
  return candidates
    .filter((c) => c.kind === 'service' && views.some((view) => c.catalog.reads.includes(`view:${view}`)))
    .map((c) => c.name)
}
