import { OUT_OF_STEPS } from '../features/kernel/function-failures.ts'
import { declaredNames, isFunction, parseBundle, topLevel, walk } from './syntax.ts'
import type { AnyNode } from './syntax.ts'

/** Loop rounds and calls of inner functions that one call of a user function may take. */
export const STEPS_MAX = 10_000_000
/** Calls within each other; the engine's own limit is greater, and differs between threads and machines. */
export const DEPTH_MAX = 500

/** What the bundler and the authoring API bring: runs when the bundle is loaded, never for an event. */
const FRAME =
  /^(?:__\w+|tidemark_entry_exports|chain|type|entity|stream|table|featureView|featureService|defineConfig|aggregation|viewFunctions|on|functions)$/

const METER = `let tm$steps=0,tm$depth=0;function tm$over(){throw new RangeError('${OUT_OF_STEPS} more than ${STEPS_MAX} steps, or ${DEPTH_MAX} calls within each other')}function tm$step(){if(++tm$steps>${STEPS_MAX})tm$over()}function tm$enter(){if(tm$depth++===0)tm$steps=0;else if(tm$depth>${DEPTH_MAX}||++tm$steps>${STEPS_MAX})tm$over()}`

interface Insert {
  readonly at: number
  readonly text: string
}

/**
 * A bundle whose functions count their steps and throw when there are too many: a loop without end gives what a throw gives, after the same step on every
 * path and machine, where a limit of time would not. Code without loops and inner calls stays as it is.
 */
export function withMeter(code: string): string {
  const own = topLevel(parseBundle(code)).filter((statement) => !isFrame(statement))
  if (!own.some(canRunOn)) return code
  const inserts: Insert[] = []
  for (const statement of own)
    walk(statement, (node) => {
      if (isLoop(node)) meterLoop(code, node, inserts)
      else if (isFunction(node)) meterFunction(code, node, inserts)
    })
  const start = code.indexOf('{', code.indexOf('=>')) + 1
  inserts.push({ at: start, text: METER })
  return applyInserts(code, inserts)
}

function isFrame(statement: AnyNode): boolean {
  if (statement.type === 'ReturnStatement') return true
  const call = statement.type === 'ExpressionStatement' ? (statement.expression as AnyNode) : null
  if (call !== null) return ['__export', 'tidemarkFreeze'].includes(String((call.callee as AnyNode | undefined)?.name))
  const names = declaredNames(statement)
  return names.length > 0 && names.every((name) => FRAME.test(name))
}

/** Whether the statement has a loop, or a function that another one may call. */
function canRunOn(statement: AnyNode): boolean {
  let found = false
  walk(statement, (node, parents) => {
    if (isLoop(node)) found = true
    if (isFunction(node) && (parents.some(isFunction) || isHelper(statement))) found = true
  })
  return found
}

/** A declaration that is not the definition itself: its functions are called by others. */
function isHelper(statement: AnyNode): boolean {
  if (statement.type !== 'VariableDeclaration') return true
  return (statement.declarations as AnyNode[]).some(({ init }) => {
    const callee = (init as AnyNode | null)?.callee as AnyNode | undefined
    return callee?.name !== 'featureView' && callee?.name !== 'featureService'
  })
}

function isLoop({ type }: AnyNode): boolean {
  return /^(?:For|ForIn|ForOf|While|DoWhile)Statement$/.test(type)
}

function meterLoop(code: string, loop: AnyNode, inserts: Insert[]): void {
  const { start, end } = loop.body as AnyNode
  // A body without braces may end in the semicolon that the loop needs.
  inserts.push({ at: start, text: '{tm$step();' }, { at: end, text: code[end - 1] === ';' ? '}' : ';}' })
}

function meterFunction(code: string, fn: AnyNode, inserts: Insert[]): void {
  const body = fn.body as AnyNode
  // A generator may stop half-way: its depth would never end. Its rounds are steps of the loop that asks for them.
  const [before, after] = fn.generator === true ? ['tm$step();', ''] : ['try{tm$enter();', '}finally{tm$depth--}']
  if (body.type === 'BlockStatement') {
    inserts.push({ at: body.start + 1, text: before }, { at: body.end - 1, text: after })
    return
  }
  const arrow = code.lastIndexOf('=>', body.start) + 2
  inserts.push({ at: arrow, text: `{${before}return(` }, { at: fn.end, text: `)${after}}` })
}

/** Inserts at one place stand in the order in which outer nodes were visited; ends of inner nodes come before ends of outer ones. */
function applyInserts(code: string, inserts: readonly Insert[]): string {
  const byPlace = new Map<number, string>()
  for (const { at, text } of inserts) {
    const isEnd = /^[;)}]/.test(text)
    const there = byPlace.get(at) ?? ''
    byPlace.set(at, isEnd ? text + there : there + text)
  }
  let result = ''
  let from = 0
  for (const [at, text] of [...byPlace].sort(([a], [b]) => a - b)) {
    result += code.slice(from, at) + text
    from = at
  }
  return result + code.slice(from)
}
