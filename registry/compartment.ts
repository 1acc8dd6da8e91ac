import { createContext, Script } from 'node:vm'

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

/** The `Math` that is the same everywhere by specification; the transcendental functions are not and are left out. */
export const PURE_MATH: readonly string[] = [
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

/** Methods whose results follow the machine's locale or Unicode tables; the compartment has none of them. */
export const LOCALE_METHODS: readonly string[] = [
  'toLocaleString',
  'toLocaleLowerCase',
  'toLocaleUpperCase',
  'localeCompare',
  'normalize',
]

const PRELUDE = `(() => {
  const math = Object.create(null)
  for (const name of ${JSON.stringify(PURE_MATH)}) math[name] = Math[name]
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
})()`

/** What a bundle assigns to `exports`. */
export interface BundleExports {
  readonly functions: readonly ((argument: object) => unknown)[]
}

/**
 * Runs bundled user code in a context of its own, without clocks, randomness, I/O, locale or code generation, and returns its functions. Not a
 * security boundary: it keeps honest code deterministic.
 */
export function loadBundle(code: string, name: string): BundleExports['functions'] {
  const holder: { exports: Partial<BundleExports> } = { exports: {} }
  const context = createContext(Object.assign(Object.create(null), { module: holder }), {
    codeGeneration: { strings: false, wasm: false },
  })
  new Script(PRELUDE, { filename: 'tidemark-compartment.js' }).runInContext(context)
  new Script(`${code}\nmodule.exports = tidemarkBundle`, { filename: `${name}.js` }).runInContext(context, {
    timeout: 5_000,
  })
  return holder.exports.functions ?? []
}
