import { build } from 'esbuild'
import type { Plugin } from 'esbuild'
import { AGGREGATION_PARAMETERS } from './aggregation-parameters.ts'
import { failRegistry } from './errors.ts'
import { checkPurity } from './purity.ts'
import { declaredNames, parseBundle, topLevel, walk } from './syntax.ts'
import type { AnyNode } from './syntax.ts'

/** The authoring API as user code is bundled with: definitions reduced to their functions, free of side effects so that unused ones fall away. */
const STUB = `
const chain = (spec) => ({ spec, over: () => chain(spec), bucketBy: () => chain(spec), default: () => chain(spec), nullable: () => chain(spec), nonFinite: () => chain(spec) })
const type = /* @__PURE__ */ new Proxy({}, { get: () => () => chain(null) })
export { type as t }
/* @__NO_SIDE_EFFECTS__ */ function format() { return {} }
export { format as avro, format as json, format as jsonSchema, format as protobuf }
/* @__NO_SIDE_EFFECTS__ */ export function entity(name, columns) { return { name, columns } }
/* @__NO_SIDE_EFFECTS__ */ export function stream(name, options) { return { name, ...options } }
/* @__NO_SIDE_EFFECTS__ */ export function table(name, options) { return { name, ...options } }
/* @__NO_SIDE_EFFECTS__ */ export function featureView(name, options) { return { functions: viewFunctions(options), all: () => ({}), pick: () => ({}) } }
/* @__NO_SIDE_EFFECTS__ */ export function featureService(name, options) { return { functions: Object.values(options.derive ?? {}).map((field) => field.value ?? field) } }
/* @__NO_SIDE_EFFECTS__ */ export function defineConfig(config) { return config }
/* @__NO_SIDE_EFFECTS__ */ function aggregation(input) { return chain(input) }
function viewFunctions(options) {
  const functions = options.where === undefined ? [] : [options.where]
  const features = typeof options.features === 'function' ? options.features(on) : options.features
  for (const feature of Object.values(features)) if (typeof feature.spec === 'function') functions.push(feature.spec)
  return functions
}
`
const KINDS = Object.keys(AGGREGATION_PARAMETERS)
const STUB_MODULE = `${STUB}
const on = { ${KINDS.map((name) => `${name}: aggregation`).join(', ')} }
${KINDS.map((name) => `export { aggregation as ${name} }`).join('\n')}
`

const stubPlugin: Plugin = {
  name: 'tidemark-stub',
  setup(setup) {
    setup.onResolve({ filter: /^tidemark$/ }, () => ({ path: 'tidemark', namespace: 'tidemark', sideEffects: false }))
    setup.onLoad({ filter: /.*/, namespace: 'tidemark' }, () => ({ contents: STUB_MODULE, loader: 'js' }))
  },
}

/** Bundles the functions of one exported definition into a script that defines `tidemarkBundle = { functions }`. Same meaning, same bytes: white space, types, comments and descriptive fields are gone. */
export async function bundleFunctions(file: string, exportName: string): Promise<string> {
  const code = withFrozenConstants(withoutUnreached(withoutDescriptions(await bundleScript(file, exportName))))
  checkPurity(code, file, exportName)
  return code
}

async function bundleScript(file: string, exportName: string): Promise<string> {
  try {
    const result = await build({
      stdin: {
        contents: `import { ${exportName} as definition } from ${JSON.stringify(file)}\nexport const functions = definition.functions`,
        resolveDir: '/',
        sourcefile: 'tidemark-entry.js',
      },
      bundle: true,
      write: false,
      format: 'iife',
      globalName: 'tidemarkBundle',
      platform: 'neutral',
      target: 'es2022',
      supported: { 'exponent-operator': false },
      treeShaking: true,
      minifyWhitespace: true,
      legalComments: 'none',
      logLevel: 'silent',
      absWorkingDir: '/',
      plugins: [stubPlugin],
    })
    return result.outputFiles[0].text
  } catch (error) {
    throw failRegistry(
      'TM_FUNCTION_BUNDLE',
      `${file}: the functions of ${exportName} cannot be bundled: ${describe(error)}. User functions may import only pure code of the project`,
      { cause: error },
    )
  }
}

function describe(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n').slice(0, 3).join(' ')
}

const DESCRIPTIVE = new Set(['description', 'owner', 'tags', 'freshness'])

/** Cuts descriptive fields out of featureView(…) and featureService(…) calls: they change no value and so no version. */
function withoutDescriptions(code: string): string {
  const cuts: Cut[] = []
  walk(parseBundle(code), (node) => {
    const callee = node.type === 'CallExpression' ? String((node.callee as AnyNode).name) : ''
    if (callee !== 'featureView' && callee !== 'featureService') return
    const options = (node.arguments as AnyNode[])[1]
    if (options?.type !== 'ObjectExpression') return
    const kept = (options.properties as AnyNode[]).filter((property) => !isDescriptive(property))
    cuts.push({
      start: options.start,
      end: options.end,
      text: `{${kept.map(({ start, end }) => code.slice(start, end)).join(',')}}`,
    })
  })
  return applyCuts(code, cuts)
}

function isDescriptive(property: AnyNode): boolean {
  const key = property.key as AnyNode | undefined
  return property.type === 'Property' && DESCRIPTIVE.has(String(key?.type === 'Literal' ? key.value : key?.name))
}

interface Cut {
  readonly start: number
  readonly end: number
  readonly text: string
}

function applyCuts(code: string, cuts: readonly Cut[]): string {
  let result = code
  for (const { start, end, text } of [...cuts].sort((a, b) => b.start - a.start))
    result = result.slice(0, start) + text + result.slice(end)
  return result
}

/**
 * Drops the top-level declarations of the bundle that its functions do not reach, so that a version does not depend on its neighbours in a file.
 * Chained calls keep esbuild from proving them unused; user code is pure, so dropping them changes nothing.
 */
function withoutUnreached(code: string): string {
  const body = topLevel(parseBundle(code))
  const declares = new Map<AnyNode, string[]>(body.map((statement) => [statement, declaredNames(statement)]))
  const kept = new Set<AnyNode>()
  const visit = (statement: AnyNode): void => {
    if (kept.has(statement)) return
    kept.add(statement)
    walk(statement, (node) => {
      if (node.type !== 'Identifier') return
      for (const [other, names] of declares) if (names.includes(String(node.name))) visit(other)
    })
  }
  for (const statement of body) {
    const names = declares.get(statement) ?? []
    if (names.length === 0 || names.includes('functions')) visit(statement)
  }
  const cuts = body.filter((statement) => !kept.has(statement)).map(({ start, end }) => ({ start, end, text: '' }))
  return applyCuts(code, cuts)
}

/** Has the compartment freeze everything that stands outside of the functions, once it is made. */
function withFrozenConstants(code: string): string {
  const body = topLevel(parseBundle(code))
  const end = body.findLast(({ type }) => type === 'ReturnStatement')
  // Names with __ are the bundler's own.
  const names = body.flatMap(declaredNames).filter((name) => !name.startsWith('__'))
  if (end === undefined || names.length === 0) return code
  return applyCuts(code, [{ start: end.start, end: end.start, text: `tidemarkFreeze([${names.join(',')}]);` }])
}
