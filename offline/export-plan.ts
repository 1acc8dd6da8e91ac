import type { CompiledService, CompiledView } from '../features/kernel/compiled-view.ts'
import type { OfflineContext } from './offline-context.ts'
import type { ExportProgram, StoredVersion } from './export-tasks.ts'
import type { Manifest } from './manifest.ts'

/** A service with the views that it reads, each once. */
export interface ExportPlan {
  readonly service: CompiledService
  readonly views: readonly CompiledView[]
  readonly program: ExportProgram
  readonly git: Manifest['service']
}

/** The registered service of a name. TM_SERVICE_UNKNOWN. */
export async function loadExportPlan({ registry }: OfflineContext, name: string): Promise<ExportPlan> {
  const service = await registry.registeredService(name)
  const versions = [...new Set(service.plan.features.map(({ viewVersion }) => viewVersion))]
  const views = await Promise.all(versions.map((version) => registry.view(version)))
  const stored = async <P>(kind: 'view' | 'service', version: string, plan: P): Promise<StoredVersion<P>> => ({
    version,
    plan,
    code: (await registry.storedVersion(kind, version)).code,
  })
  const { git } = await registry.storedVersion('service', service.version)
  return {
    service,
    views,
    program: {
      service: await stored('service', service.version, service.plan),
      views: await Promise.all(views.map((view) => stored('view', view.version, view.plan))),
    },
    git: { name: service.plan.name, version: service.version, ...git },
  }
}
