import { createContext, Script } from 'node:vm'
import { lowerCase, upperCase } from '../features/exact/letter-case.ts'
import { PURE_FUNCTIONS } from '../features/exact/pure-math.ts'
import { OUT_OF_STEPS } from '../features/kernel/function-failures.ts'
import { unstablePart } from '../features/exact/stable-pattern.ts'
import { PRELUDE } from './compartment-prelude.ts'
import { withMeter } from './meter.ts'

/** What a bundle assigns to `exports`. */
export interface BundleExports {
  readonly functions: readonly ((argument: object) => unknown)[]
}

/**
 * Runs bundled user code in a context of its own, without clocks, randomness, I/O, locale or code generation, and returns its functions. Not a
 * security boundary: it keeps honest code deterministic.
 */
export function loadBundle(code: string, name: string): BundleExports['functions'] {
  return openCompartment(withMeter(code), name).holder.exports.functions ?? []
}

/** The functions of a bundle as they were written, to read. */
export function loadUnmetered(code: string): BundleExports['functions'] {
  return openCompartment(code, 'unmetered').holder.exports.functions ?? []
}

function openCompartment(code: string, name: string) {
  const holder: { exports: Partial<BundleExports>; inputs?: unknown; outcomes?: unknown; isEndless?: boolean } = {
    exports: {},
  }
  const context = createContext(Object.assign(Object.create(null), { module: holder }), {
    codeGeneration: { strings: false, wasm: false },
  })
  const prelude: unknown = new Script(PRELUDE, { filename: 'tidemark-compartment.js' }).runInContext(context)
  ;(prelude as (own: unknown) => void)({ math: Object.entries(PURE_FUNCTIONS), upperCase, lowerCase, unstablePart })
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
    if (error instanceof RangeError && error.message.startsWith(${JSON.stringify(OUT_OF_STEPS)})) module.isEndless = true
    return 'throws'
  }
}))`

/** What each function gives for each input, as texts to compare; null where they do not all return within `timeoutMs` and the steps that they have. A compartment of its own. */
export function probeBundle(
  code: string,
  name: string,
  inputs: readonly object[],
  timeoutMs: number,
): readonly (readonly string[])[] | null {
  const { holder, context } = openCompartment(withMeter(code), name)
  holder.inputs = inputs
  try {
    new Script(PROBE, { filename: 'tidemark-probe.js' }).runInContext(context, { timeout: timeoutMs })
    return holder.isEndless === true ? null : (holder.outcomes as string[][])
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return null
    throw error
  }
}
