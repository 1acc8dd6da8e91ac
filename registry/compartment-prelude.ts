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
  'Float16Array',
  'SuppressedError',
  'DisposableStack',
  'AsyncDisposableStack',
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

/** Globals that the compartment has; whatever else an engine brings is taken away. */
const GLOBALS: readonly string[] = [
  ...'Object Array Number BigInt String Boolean Symbol Map Set WeakMap WeakSet RegExp JSON Math Reflect Proxy Iterator'.split(
    ' ',
  ),
  ...'Error TypeError RangeError SyntaxError ReferenceError EvalError URIError AggregateError'.split(' '),
  ...'ArrayBuffer DataView Int8Array Uint8Array Uint8ClampedArray Int16Array Uint16Array Int32Array Uint32Array'.split(
    ' ',
  ),
  ...'Float32Array Float64Array BigInt64Array BigUint64Array'.split(' '),
  ...'parseInt parseFloat isNaN isFinite encodeURI encodeURIComponent decodeURI decodeURIComponent'.split(' '),
  ...'undefined NaN Infinity globalThis module'.split(' '),
]

/** Methods that newer engines have and Node 22 has not: a function that used one would give values in one place and fail in another. */
const LATER_METHODS: Readonly<Record<string, readonly string[]>> = {
  Error: ['isError'],
  Symbol: ['dispose', 'asyncDispose'],
  Array: ['fromAsync'],
  Iterator: ['concat', 'zip', 'zipKeyed'],
  Uint8Array: ['fromBase64', 'fromHex'],
  'Uint8Array.prototype': ['toBase64', 'toHex', 'setFromBase64', 'setFromHex'],
  'DataView.prototype': ['getFloat16', 'setFloat16'],
  'Map.prototype': ['getOrInsert', 'getOrInsertComputed'],
  'WeakMap.prototype': ['getOrInsert', 'getOrInsertComputed'],
}

/**
 * Run in a fresh context before user code: makes it the same on every engine and machine. `own` are the kernel's own functions, wrapped, so that user code holds
 * functions of its own realm only. Own as well is all that ECMA-262 leaves to the engine: how `sort` calls an inconsistent comparator, digits of fractions
 * in other bases than ten.
 */
export const PRELUDE = `((own) => {
  const math = Object.create(null)
  for (const name of ${JSON.stringify(EXACT_MATH)}) math[name] = Math[name]
  // ** of bigints arrives as Math.pow, too.
  for (const [name, fn] of own.math)
    math[name] = name === 'hypot' ? (...x) => fn(...x.map(Number)) : fn.length === 1 ? (x) => fn(+x) : (x, y) => fn(+x, +y)
  const pow = math.pow
  math.pow = (x, y) => (typeof x === 'bigint' ? x ** y : pow(x, y))
  for (const name of Object.keys(math)) Object.freeze(math[name])
  globalThis.Math = Object.freeze(math)
  Error.stackTraceLimit = 0

  const { toString } = Number.prototype
  const merged = (items, order) => {
    if (items.length < 2) return items
    const left = merged(items.slice(0, items.length >> 1), order)
    const right = merged(items.slice(items.length >> 1), order)
    const result = []
    for (let i = 0, j = 0; i < left.length || j < right.length;)
      result.push(j >= right.length || (i < left.length && !(order(left[i], right[j]) > 0)) ? left[i++] : right[j++])
    return result
  }
  const checked = (order) => {
    if (typeof order !== 'function') throw new TypeError('sort takes a function, or nothing')
  }
  const sortArray = (list, order) => {
    const present = Object.keys(list).filter((key) => String(key >>> 0) === key && key >>> 0 < list.length).map((key) => list[key])
    const sorted = merged(present.filter((item) => item !== undefined), order)
    for (let i = 0; i < list.length; i++) {
      if (i < sorted.length) list[i] = sorted[i]
      else if (i < present.length) list[i] = undefined
      else delete list[i]
    }
    return list
  }
  const typed = Object.getPrototypeOf(Int8Array)
  const { sort, toSorted } = Array.prototype
  const { sort: sortTyped, toSorted: toSortedTyped } = typed.prototype
  const methods = [
    [Array.prototype, { sort(order) { return order === undefined ? sort.call(this) : (checked(order), sortArray(this, order)) },
      toSorted(order) { return order === undefined ? toSorted.call(this) : (checked(order), merged(Array.from(this).filter((item) => item !== undefined), order).concat(Array.from(this).filter((item) => item === undefined))) } }],
    [typed.prototype, { sort(order) { return order === undefined ? sortTyped.call(this) : (checked(order), this.set(merged(Array.from(this), order)), this) },
      toSorted(order) { return order === undefined ? toSortedTyped.call(this) : (checked(order), this.slice().sort(order)) } }],
    [String.prototype, { toUpperCase() { return own.upperCase(String(this)) }, toLowerCase() { return own.lowerCase(String(this)) } }],
    [Number.prototype, { toString(radix) {
      if (radix !== undefined && +radix !== 10 && !Number.isSafeInteger(+this)) throw new TypeError('only whole numbers have a text in another base than ten')
      return toString.call(this, radix)
    } }],
  ]
  for (const [prototype, named] of methods)
    for (const name of Object.keys(named)) Object.defineProperty(prototype, name, { value: named[name], writable: true, configurable: true })
  const Pattern = RegExp
  globalThis.RegExp = function RegExp(source, flags) {
    const pattern = new Pattern(source, flags)
    const part = own.unstablePart(pattern.source, pattern.flags)
    if (part !== null) throw new TypeError(part + ' in a pattern follows the Unicode version of the engine')
    return pattern
  }
  globalThis.RegExp.prototype = Pattern.prototype
  Pattern.prototype.constructor = globalThis.RegExp

  for (const name of ${JSON.stringify(LOCALE_METHODS)})
    for (const type of [Object, Number, BigInt, String, Array, typed]) delete type.prototype[name]
  for (const [path, names] of ${JSON.stringify(Object.entries(LATER_METHODS))}) {
    const [type, prototype] = path.split('.')
    const owner = prototype === undefined ? globalThis[type] : globalThis[type]?.prototype
    for (const name of names) if (owner !== undefined) delete owner[name]
  }
  for (const name of Object.getOwnPropertyNames(globalThis)) if (!${JSON.stringify(GLOBALS)}.includes(name)) delete globalThis[name]
  for (const type of [Object, Number, BigInt, String, Array, Boolean, Symbol, Map, Set, Pattern, RegExp, typed, Error, JSON]) {
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
