import type { CompiledService, CompiledView } from '../features/kernel/compiled-view.ts'
import { canonicalJson } from '../features/plan/canonical-json.ts'
import type { EntityPlan, SourcePlan } from '../features/plan/source-plan.ts'
import type { ServicePlan, ViewPlan } from '../features/plan/view-plan.ts'
import type { MetadataStore } from '../stores/metadata/metadata-store.ts'
import { loadBundle } from './compartment.ts'
import { compileProject } from './compile-project.ts'
import type { Candidate, CatalogEntry, DefinitionKind } from './compile-project.ts'
import { failRegistry } from './errors.ts'
import { planReport } from './plan-report.ts'
import type { CountEvents, PlanReport } from './plan-report.ts'
import { groupByKeyedLog } from './keyed-logs.ts'
import type { KeyedLog } from './keyed-logs.ts'
import { withLineage } from './lineage.ts'
import type { TableSchedule } from './schedules.ts'
import { moveServingAlias, readServiceAliases } from './serving-aliases.ts'
import type { ServiceAlias } from './serving-aliases.ts'
import { numberSourceVersions } from './source-versions.ts'
import { ViewSets } from './view-sets.ts'
import { describeKnown } from '../features/errors/closest-name.ts'

export type { PlanReport } from './plan-report.ts'

export interface StoredVersion {
  readonly version: string
  /** Canonical JSON. */
  readonly plan: string
  /** The bundle; '' without functions. */
  readonly code: string
  /** Of the working tree that registered it first. */
  readonly git: GitState
}

export interface GitState {
  readonly commit: string | null
  readonly dirty: boolean
}

export interface ScheduledTable {
  readonly source: string
  readonly schedule: TableSchedule
}

/** Definitions → validated plans → immutable versions, and back to runnable code without the working tree. */
export class Registry {
  /** The sets of view versions that markers of the online store name. */
  readonly viewSets: ViewSets
  readonly #metadata: MetadataStore
  readonly #views = new Map<string, CompiledView>()
  readonly #services = new Map<string, CompiledService>()

  constructor(metadata: MetadataStore) {
    this.#metadata = metadata
    this.viewSets = new ViewSets(metadata)
  }

  /** What `apply` would change, part by part, and what it costs where `countEvents` knows; writes nothing. */
  async plan(projectDir: string, countEvents: CountEvents | null = null): Promise<PlanReport> {
    return this.#report(await this.#compile(projectDir), countEvents)
  }

  /** Registers new versions, in one transaction. Old versions stay as they are, and services serve theirs until the new one's views are live. */
  async apply(
    projectDir: string,
    now: number,
    git: GitState = { commit: null, dirty: false },
    countEvents: CountEvents | null = null,
  ): Promise<PlanReport> {
    const candidates = await this.#compile(projectDir)
    const report = await this.#report(candidates, countEvents)
    await this.#metadata.db.transaction().execute(async (db) => {
      for (const { kind, name, version, plan, code, catalog } of candidates) {
        const row = {
          kind,
          name,
          version,
          plan: canonicalJson(plan),
          code,
          created_at: now,
          git_commit: git.commit,
          git_dirty: git.dirty ? 1 : 0,
        }
        await db
          .insertInto('versions')
          .values(row)
          .onConflict((c) => c.columns(['kind', 'version']).doNothing())
          .execute()
        await db
          .insertInto('aliases')
          .values({ kind, name, version })
          .onConflict((c) => c.columns(['kind', 'name']).doUpdateSet({ version }))
          .execute()
        const data = JSON.stringify(catalog)
        await db
          .insertInto('catalog')
          .values({ kind, name, data })
          .onConflict((c) => c.columns(['kind', 'name']).doUpdateSet({ data }))
          .execute()
      }
      for (const { kind, name, to } of report.changes) {
        if (to !== null) continue
        await db.deleteFrom('aliases').where('kind', '=', kind).where('name', '=', name).execute()
        await db.deleteFrom('catalog').where('kind', '=', kind).where('name', '=', name).execute()
        if (kind === 'service') await db.deleteFrom('serving_aliases').where('name', '=', name).execute()
      }
    })
    return report
  }

  async sources(): Promise<SourcePlan[]> {
    return this.#current<SourcePlan>('source')
  }

  async source(name: string): Promise<SourcePlan> {
    const sources = await this.sources()
    const found = sources.find((source) => source.name === name)
    if (found === undefined)
      throw failRegistry(
        'TM_UNKNOWN_SOURCE',
        `no source ${JSON.stringify(name)} is registered: ${describeKnown(
          name,
          sources.map((source) => source.name),
        )}`,
      )
    return found
  }

  /** The tables that are imported by a schedule. */
  async schedules(): Promise<ScheduledTable[]> {
    const rows = await this.#metadata.db
      .selectFrom('catalog')
      .select(['name', 'data'])
      .where('kind', '=', 'source')
      .execute()
    return rows.flatMap(({ name, data }) => {
      const { schedule = null } = JSON.parse(data) as Partial<Candidate['catalog']>
      return schedule === null ? [] : [{ source: name, schedule }]
    })
  }

  /** The plans of a source that were ever registered, oldest first. */
  async sourceVersions(name: string): Promise<SourcePlan[]> {
    const rows = await this.#metadata.db
      .selectFrom('versions')
      .select('plan')
      .where('kind', '=', 'source')
      .where('name', '=', name)
      .orderBy('created_at')
      .execute()
    return rows.map(({ plan }) => JSON.parse(plan) as SourcePlan)
  }

  async entities(): Promise<EntityPlan[]> {
    return this.#current<EntityPlan>('entity')
  }

  /** The keyed logs that feed a reachable view: one that is registered under its name, or that a served service version reads. */
  async keyedLogs(): Promise<KeyedLog[]> {
    const reachable = new Set((await this.#aliases('view')).values())
    for (const { registered, serving } of await this.serviceAliases()) {
      for (const version of serving === null || serving === registered ? [registered] : [registered, serving])
        for (const { viewVersion } of (await this.service(version)).plan.features) reachable.add(viewVersion)
    }
    const views: CompiledView[] = []
    for (const version of reachable) views.push(await this.view(version))
    return groupByKeyedLog(views)
  }

  /** Every service: the newest version registered and the one that its name reads. */
  async serviceAliases(): Promise<ServiceAlias[]> {
    return readServiceAliases(this.#metadata)
  }

  /** Lets a service's name read a version, if that is the registered one still. */
  async moveServingAlias(name: string, version: string, now: number): Promise<boolean> {
    return moveServingAlias(this.#metadata, name, version, now)
  }

  /** A view version, ready to run. */
  async view(version: string): Promise<CompiledView> {
    const cached = this.#views.get(version)
    if (cached !== undefined) return cached
    const row = await this.#version('view', version)
    if (row === null) throw failRegistry('TM_UNKNOWN_VIEW', `no view version ${version} is registered`)
    const plan = JSON.parse(row.plan) as ViewPlan
    const view = {
      version,
      plan,
      functions: row.code === '' ? [] : loadBundle(row.code, `${plan.name}-${version.slice(0, 12)}`),
    }
    this.#views.set(version, view)
    return view
  }

  /** Every view version that was ever registered. */
  async viewVersions(): Promise<{ readonly name: string; readonly version: string }[]> {
    const versions = this.#metadata.db.selectFrom('versions').select(['name', 'version']).where('kind', '=', 'view')
    return versions.orderBy('version').execute()
  }

  /** Plan, bundle and origin of a view or service version, for other threads and processes. */
  async storedVersion(kind: 'view' | 'service', version: string): Promise<StoredVersion> {
    const row = await this.#metadata.db
      .selectFrom('versions')
      .select(['plan', 'code', 'git_commit', 'git_dirty'])
      .where('kind', '=', kind)
      .where('version', '=', version)
      .executeTakeFirstOrThrow()
    return { version, plan: row.plan, code: row.code, git: { commit: row.git_commit, dirty: row.git_dirty === 1 } }
  }

  /** A service by name (the version it serves; before it serves any, the registered one) or by version. */
  async service(nameOrVersion: string): Promise<CompiledService> {
    const cached = this.#services.get(nameOrVersion)
    if (cached !== undefined) return cached
    const alias = (await this.serviceAliases()).find(({ name }) => name === nameOrVersion)
    return this.#service(alias?.serving ?? alias?.registered ?? nameOrVersion, nameOrVersion)
  }

  /** A service's newest registered version, which may not be served yet; or by version. */
  async registeredService(nameOrVersion: string): Promise<CompiledService> {
    const alias = (await this.serviceAliases()).find(({ name }) => name === nameOrVersion)
    return this.#service(alias?.registered ?? nameOrVersion, nameOrVersion)
  }

  async #service(version: string, asked: string): Promise<CompiledService> {
    const held = this.#services.get(version)
    if (held !== undefined) return held
    const row = await this.#version('service', version)
    if (row === null) {
      const names = (await this.serviceAliases()).map(({ name }) => name)
      throw failRegistry(
        'TM_UNKNOWN_SERVICE',
        `no feature service ${JSON.stringify(asked)} is registered: ${describeKnown(asked, names)}`,
      )
    }
    const plan = JSON.parse(row.plan) as ServicePlan
    const service = {
      version,
      plan,
      functions: row.code === '' ? [] : loadBundle(row.code, `${plan.name}-${version.slice(0, 12)}`),
    }
    this.#services.set(version, service)
    return service
  }

  async services(): Promise<CompiledService[]> {
    const services: CompiledService[] = []
    for (const { registered, serving } of await this.serviceAliases())
      services.push(await this.service(serving ?? registered))
    return services
  }

  async catalog(): Promise<CatalogEntry[]> {
    const rows = await this.#metadata.db
      .selectFrom('catalog')
      .innerJoin('aliases', (join) =>
        join.onRef('aliases.kind', '=', 'catalog.kind').onRef('aliases.name', '=', 'catalog.name'),
      )
      .select(['catalog.kind', 'catalog.name', 'aliases.version', 'catalog.data'])
      .orderBy('catalog.kind')
      .orderBy('catalog.name')
      .execute()
    const entries = rows.map(({ kind, name, version, data }) => ({
      kind: kind as DefinitionKind,
      name,
      version,
      ...(JSON.parse(data) as Candidate['catalog']),
    }))
    return withLineage(entries, (version) => this.view(version), await this.#registeredServices())
  }

  /** The services as last applied, whether they serve already or not. */
  async #registeredServices(): Promise<CompiledService[]> {
    const services: CompiledService[] = []
    for (const version of (await this.#aliases('service')).values()) services.push(await this.service(version))
    return services
  }

  async #compile(projectDir: string): Promise<Candidate[]> {
    const candidates = await compileProject(projectDir)
    const registered = new Map<string, SourcePlan[]>()
    for (const { kind, name } of candidates)
      if (kind === 'source') registered.set(name, await this.sourceVersions(name))
    return numberSourceVersions(candidates, registered)
  }

  async #report(candidates: readonly Candidate[], countEvents: CountEvents | null): Promise<PlanReport> {
    return planReport({
      candidates,
      registered: (kind) => this.#aliases(kind),
      compiled: async (kind, version) => {
        const row = await this.#version(kind, version)
        return row === null ? null : { plan: JSON.parse(row.plan) as unknown, code: row.code }
      },
      catalog: () => this.catalog(),
      countEvents,
    })
  }

  async #current<P>(kind: DefinitionKind): Promise<P[]> {
    const plans: P[] = []
    for (const version of (await this.#aliases(kind)).values()) {
      const row = await this.#version(kind, version)
      if (row !== null) plans.push(JSON.parse(row.plan) as P)
    }
    return plans
  }

  async #aliases(kind: DefinitionKind): Promise<Map<string, string>> {
    const rows = await this.#metadata.db
      .selectFrom('aliases')
      .select(['name', 'version'])
      .where('kind', '=', kind)
      .orderBy('name')
      .execute()
    return new Map(rows.map(({ name, version }) => [name, version]))
  }

  async #version(kind: DefinitionKind, version: string): Promise<{ plan: string; code: string } | null> {
    const row = await this.#metadata.db
      .selectFrom('versions')
      .select(['plan', 'code'])
      .where('kind', '=', kind)
      .where('version', '=', version)
      .executeTakeFirst()
    return row ?? null
  }
}
