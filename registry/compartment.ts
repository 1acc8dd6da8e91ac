import { createContext, Script } from 'node:vm'
import { PURE_FUNCTIONS } from '../features/exact/pure-math.ts'

/** Names that user code must not reach: they differ between machines, moments or settings. */
export const FORBIDDEN_GLOBALS: readonly string[] = [
  'Date',
  'Intl',
  'Temporal',
  'WeakRef',
  'FinalizationRegistry',
  'Atomics',
  'SharedArrayBuffer',
  'WebAssembly',
  'eval',
  'Function',
  'console',
  'process',
  'require',
  'fetch',
  'performance',
  'crypto',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'globalThis',
  'global',
  'Promise',
  'ShadowRealm',
  'Buffer',
  'navigator',
  'escape',
  'unescape',
]

/** The part of the engine's `Math` that is the same everywhere by specification. The transcendental functions are not: those are the kernel's own. */
const EXACT_MATH: readonly string[] = [
  'abs',
  'ceil',
  'clz32',
  'floor',
  'fround',
  'imul',
  'max',
  'min',
  'round',
  'sign',
  'sqrt',
  'trunc',
  'E',
  'LN10',
  'LN2',
  'LOG10E',
  'LOG2E',
  'PI',
  'SQRT1_2',
  'SQRT2',
]

/** All of the compartment's `Math`: no `random`. */
export const PURE_MATH: readonly string[] = [...EXACT_MATH, ...Object.keys(PURE_FUNCTIONS)]

/** Methods whose results follow the machine's locale or Unicode tables; the compartment has none of them. */
export const LOCALE_METHODS: readonly string[] = [
  'toLocaleString',
  'toLocaleLowerCase',
  'toLocaleUpperCase',
  'localeCompare',
  'normalize',
]

const PRELUDE = `((functions) => {
  const math = Object.create(null)
  for (const name of ${JSON.stringify(EXACT_MATH)}) math[name] = Math[name]
  // Wrapped here, so that user code holds functions of its own realm only. ** of bigints arrives as Math.pow, too.
  for (const [name, fn] of functions)
    math[name] = name === 'hypot' ? (...x) => fn(...x.map(Number)) : fn.length === 1 ? (x) => fn(+x) : (x, y) => fn(+x, +y)
  const pow = math.pow
  math.pow = (x, y) => (typeof x === 'bigint' ? x ** y : pow(x, y))
  for (const name of Object.keys(math)) Object.freeze(math[name])
  globalThis.Math = Object.freeze(math)
  Error.stackTraceLimit = 0
  for (const name of ${JSON.stringify(LOCALE_METHODS)})
    for (const type of [Object, Number, BigInt, String, Array, Int8Array.prototype.__proto__.constructor]) delete type.prototype[name]
  for (const name of ${JSON.stringify(FORBIDDEN_GLOBALS)}) if (name !== 'globalThis') delete globalThis[name]
  for (const type of [Object, Number, BigInt, String, Array, Boolean, Symbol, Map, Set, RegExp, Error, JSON]) {
    Object.freeze(type)
    if (type.prototype) Object.freeze(type.prototype)
  }
  Object.freeze(Object.getPrototypeOf(function () {}))
  const refuse = () => { throw new TypeError('a constant outside of a function cannot be changed') }
  const frozen = new Set()
  const freeze = (value) => {
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || frozen.has(value)) return
    frozen.add(value)
    if (value instanceof Map || value instanceof Set) {
      for (const item of [...value].flat()) freeze(item)
      for (const method of ['set', 'add', 'delete', 'clear']) if (method in value) Object.defineProperty(value, method, { value: refuse })
    }
    for (const { value: part } of Object.values(Object.getOwnPropertyDescriptors(value))) freeze(part)
    // Elements of typed arrays cannot be frozen; a pattern with flag g or y cannot be used when it is.
    if (!ArrayBuffer.isView(value) && !(value instanceof RegExp && (value.global || value.sticky))) Object.freeze(value)
  }
  Object.defineProperty(globalThis, 'tidemarkFreeze', { value: (values) => values.forEach(freeze) })
})`

/** What a bundle assigns to `exports`. */
export interface BundleExports {
  readonly functions: readonly ((argument: object) => unknown)[]
}

/**
 * Runs bundled user code in a context of its own, without clocks, randomness, I/O, locale or code generation, and returns its functions. Not a
 * security boundary: it keeps honest code deterministic.
 */
export function loadBundle(code: string, name: string): BundleExports['functions'] {
  return openCompartment(code, name).holder.exports.functions ?? []
}

function openCompartment(code: string, name: string) {
  const holder: { exports: Partial<BundleExports>; inputs?: unknown; outcomes?: unknown } = { exports: {} }
  const context = createContext(Object.assign(Object.create(null), { module: holder }), {
    codeGeneration: { strings: false, wasm: false },
  })
  const prelude: unknown = new Script(PRELUDE, { filename: 'tidemark-compartment.js' }).runInContext(context)
  ;(prelude as (functions: unknown) => void)(Object.entries(PURE_FUNCTIONS))
  // Definition files are modules, and so strict: a change of something frozen throws.
  new Script(`'use strict';\n${code}\nmodule.exports = tidemarkBundle`, { filename: `${name}.js` }).runInContext(
    context,
    {
      timeout: 5_000,
    },
  )
  return { holder, context }
}

const PROBE = `module.outcomes = module.exports.functions.map((fn) => module.inputs.map((input) => {
  try {
    const value = fn(input)
    return typeof value + ' ' + (typeof value === 'object' && value !== null ? JSON.stringify(Array.from(value)) : String(Object.is(value, -0) ? 0 : value))
  } catch (error) {
    return 'throws'
  }
}))`

/** What each function gives for each input, as texts to compare; null where they do not all return within `timeoutMs`. A compartment of its own. */
export function probeBundle(
  code: string,
  name: string,
  inputs: readonly object[],
  timeoutMs: number,
): readonly (readonly string[])[] | null {
  const { holder, context } = openCompartment(code, name)
  holder.inputs = inputs
  try {
    new Script(PROBE, { filename: 'tidemark-probe.js' }).runInContext(context, { timeout: timeoutMs })
    return holder.outcomes as string[][]
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return null
    throw error
  }
}
