import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { DEFINITION } from '../features/authoring/definitions.ts'
import type {
  EntityDefinition,
  ProjectConfig,
  ServiceDefinition,
  SourceDefinition,
  ViewDefinition,
} from '../features/authoring/definitions.ts'
import { failRegistry } from './errors.ts'

/** Definitions of a project with where each stands. */
export interface Located<D> {
  readonly definition: D
  readonly file: string
  readonly exportName: string
}

export interface ProjectDefinitions {
  readonly entities: readonly Located<EntityDefinition>[]
  readonly sources: readonly Located<SourceDefinition>[]
  readonly views: readonly Located<ViewDefinition>[]
  readonly services: readonly Located<ServiceDefinition>[]
}

const AUTHORING_URL = new URL('../features/index.ts', import.meta.url)
let hooked = false

/** Definition files and Tidemark must share one instance of the authoring API, wherever the project lives. */
function hookAuthoringImport(): void {
  if (hooked) return
  hooked = true
  const url = import.meta.url.endsWith('.ts') ? AUTHORING_URL.href : AUTHORING_URL.href.replace(/\.ts$/, '.js')
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'tidemark' ? { url, shortCircuit: true } : next(specifier, context),
  })
}

async function importFile(file: string): Promise<Record<string, unknown>> {
  hookAuthoringImport()
  try {
    const url = pathToFileURL(file)
    url.searchParams.set('v', String(statSync(file).mtimeMs))
    return (await import(url.href)) as Record<string, unknown>
  } catch (error) {
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    throw failRegistry('TM_DEFINITION_LOAD', `${file}${lineOf(error, file)} cannot be loaded: ${reason}`, {
      details: { file },
      cause: error,
    })
  }
}

function lineOf(error: unknown, file: string): string {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  const match = stack.slice(Math.max(0, stack.indexOf(file))).match(/^[^\n]*?:(\d+)/)
  return match === null || !stack.includes(file) ? '' : `:${match[1]}`
}

/** Imports every `features/**\/*.ts` of a project and collects the exported definitions. */
export async function loadProject(projectDir: string): Promise<ProjectDefinitions> {
  const root = resolve(projectDir)
  const files = globSync('features/**/*.{ts,js}', { cwd: root })
    .filter((file) => !file.endsWith('.d.ts'))
    .sort()
  const found = { entities: [], sources: [], views: [], services: [] } as {
    [K in keyof ProjectDefinitions]: Located<never>[]
  }
  const folder = {
    entity: found.entities,
    source: found.sources,
    view: found.views,
    service: found.services,
  } as Record<string, Located<unknown>[]>
  const seen = new Set<unknown>()
  for (const name of files) {
    const file = join(root, name)
    for (const [exportName, definition] of Object.entries(await importFile(file))) {
      if (typeof definition !== 'object' || definition === null || !(DEFINITION in definition) || seen.has(definition))
        continue
      seen.add(definition)
      folder[String(definition[DEFINITION])].push({ definition, file, exportName })
    }
  }
  if (seen.size === 0)
    throw failRegistry(
      'TM_NO_DEFINITIONS',
      `${root} has no definitions under features/: run \`tidemark init ${projectDir}\`, or name the project with --project`,
    )
  return found
}

/** `tidemark.config.ts` of a project, or an empty configuration. */
export async function loadConfig(projectDir: string): Promise<ProjectConfig> {
  const file = ['tidemark.config.ts', 'tidemark.config.js']
    .map((name) => join(resolve(projectDir), name))
    .find((path) => existsSync(path))
  if (file === undefined) return {}
  const loaded = (await importFile(file)).default
  if (typeof loaded !== 'object' || loaded === null)
    throw failRegistry(
      'TM_DEFINITION_INVALID',
      `${file} has no default export: write \`export default defineConfig({ … })\``,
    )
  return loaded as ProjectConfig
}

/** Number of the first line of `file` that contains `text`, for messages; 1 if none does. */
export function lineWith(file: string, text: string): number {
  const at = readFileSync(file, 'utf8')
    .split('\n')
    .findIndex((line) => line.includes(text))
  return at < 0 ? 1 : at + 1
}
