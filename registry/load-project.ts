import { existsSync, globSync, readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { DEFINITION } from '../features/authoring/definitions.ts'
import type { EntityDefinition, SourceDefinition } from '../features/authoring/definitions.ts'
import type { ServiceDefinition } from '../features/authoring/feature-service.ts'
import type { ViewDefinition } from '../features/authoring/feature-view.ts'
import type { ProjectConfig } from '../features/authoring/project-config.ts'
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
let loads = 0

/** Definition files and Tidemark must share one instance of the authoring API, wherever the project lives. */
function hookAuthoringImport(): void {
  if (hooked) return
  hooked = true
  const url = import.meta.url.endsWith('.ts') ? AUTHORING_URL.href : AUTHORING_URL.href.replace(/\.ts$/, '.js')
  registerHooks({
    resolve: (specifier, context, next) => {
      if (specifier === 'tidemark') return { url, shortCircuit: true }
      const resolved = next(specifier, context)
      const load = /[?&]tidemark-load=(\d+)/.exec(context.parentURL ?? '')?.[1]
      const isProjectFile = resolved.url.startsWith('file:') && !resolved.url.includes('/node_modules/')
      return load === undefined || !isProjectFile ? resolved : { ...resolved, url: inLoad(resolved.url, load) }
    },
  })
}

/**
 * The URL of a module within one load. Every file of a project gets it, imported directly or by another file, so that one load sees each file
 * once and a later load sees it as it is then.
 */
function inLoad(url: string, load: string): string {
  const marked = new URL(url)
  marked.searchParams.set('tidemark-load', load)
  return marked.href
}

async function importFile(file: string, load: string): Promise<Record<string, unknown>> {
  hookAuthoringImport()
  try {
    return (await import(inLoad(pathToFileURL(file).href, load))) as Record<string, unknown>
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
  const load = String(++loads)
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
    for (const [exportName, definition] of Object.entries(await importFile(file, load))) {
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
  const loaded = (await importFile(file, String(++loads))).default
  if (typeof loaded !== 'object' || loaded === null)
    throw failRegistry(
      'TM_DEFINITION_INVALID',
      `${file} has no default export: write \`export default defineConfig({ … })\``,
    )
  return loaded
}

/** Where `text` (a name) stands in `file`, for messages: the first line at or after the one that names or exports the definition; 1 if none does. */
export function lineWith(file: string, text: string, definition: unknown = text, exportName: string = ''): number {
  const lines = readFileSync(file, 'utf8').split('\n')
  const find = (name: string, from: number): number => {
    const escaped = escapePattern(name)
    for (const pattern of [
      new RegExp(`(^|[^\\w])${escaped}['"]?\\s*:`),
      new RegExp(`['"\`]${escaped}['"\`]`),
      new RegExp(`\\b${escaped}\\b`),
    ]) {
      const at = lines.findIndex((line, i) => i >= from && pattern.test(line))
      if (at >= 0) return at
    }
    return -1
  }
  const named = new RegExp(`\\(\\s*['"\`]${escapePattern(String(definition))}['"\`]`)
  const exported = new RegExp(`\\b${escapePattern(exportName)}\\b`)
  const byName = lines.findIndex((line) => named.test(line))
  const start = Math.max(0, byName < 0 && exportName !== '' ? lines.findIndex((line) => exported.test(line)) : byName)
  const at = find(text, start)
  return (at < 0 ? start : at) + 1
}

function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
}
