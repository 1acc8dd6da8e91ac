import { unstablePart } from '../features/exact/stable-pattern.ts'
import { FORBIDDEN_GLOBALS, LOCALE_METHODS, PURE_MATH } from './compartment-prelude.ts'
import { failRegistry } from './errors.ts'
import { lastingChange, outerNames } from './purity-state.ts'
import { boundNames, parseBundle, topLevel, walk } from './syntax.ts'
import type { AnyNode } from './syntax.ts'

type RefuseUse = (what: string, instead: string) => never

/**
 * Refuses bundled functions that would not give the same bits at every time and place, with a sentence at plan time; the compartment lacks what
 * is refused here anyway. What hides from reading (a closure's variable, another name for a collection) is frozen there, or found by `probeBundle`.
 */
export function checkPurity(code: string, file: string, exportName: string): void {
  const bundle = parseBundle(code)
  const outer = outerNames(topLevel(bundle))
  const refuse: RefuseUse = (what, instead) => {
    throw failRegistry(
      'TM_FUNCTION_IMPURE',
      `${file}: a function of ${exportName} uses ${what}, which does not give the same bits at every time and place; ${instead}`,
      { details: { file, definition: exportName, uses: what } },
    )
  }
  walk(bundle, (node, parents) => {
    if (node.type === 'AwaitExpression' || node.type === 'ImportExpression')
      refuse(node.type === 'AwaitExpression' ? 'await' : 'import()', 'compute from the event alone')
    checkCall(node, refuse)
    checkPattern(node, refuse)
    if (node.type === 'CatchClause' && usesError(node))
      refuse('a caught error', 'its text differs between engines: write `catch { … }` and compute without it')
    const change = lastingChange(node, parents, outer)
    if (change !== null)
      refuse(`${change}, which stands outside of it and lives on between events`, 'compute from the event alone')
    if (node.type === 'Identifier' && !outer.has(String(node.name)) && isReference(node, parents))
      checkGlobal(node, parents, refuse)
  })
}

function isReference(node: AnyNode, parents: readonly AnyNode[]): boolean {
  const parent = parents.at(-1)
  if (parent === undefined) return true
  if (parent.type === 'MemberExpression') return parent.property !== node || parent.computed === true
  return parent.type !== 'Property' || parent.key !== node || parent.shorthand === true || parent.computed === true
}

function checkGlobal(node: AnyNode, parents: readonly AnyNode[], refuse: RefuseUse): void {
  const name = String(node.name)
  if (FORBIDDEN_GLOBALS.includes(name)) refuse(name, 'pass what you need as a field of the event or of the request')
  if (name === 'Math') for (const property of mathProperties(node, parents.at(-1), refuse)) checkMath(property, refuse)
}

/** The properties of Math that are used where it stands: `Math.sin`, or `const { sin, cos } = Math`. */
function mathProperties(node: AnyNode, parent: AnyNode | undefined, refuse: RefuseUse): string[] {
  if (parent?.type === 'MemberExpression' && parent.object === node && parent.computed !== true)
    return [String((parent.property as AnyNode).name)]
  const pattern = parent?.type === 'VariableDeclarator' && parent.init === node ? (parent.id as AnyNode) : undefined
  if (pattern?.type !== 'ObjectPattern')
    return [refuse('Math as a value', 'write out its functions, as in Math.min(a, b)')]
  return (pattern.properties as AnyNode[]).map((property) =>
    property.type === 'Property' && property.computed !== true
      ? String((property.key as AnyNode).name)
      : refuse('Math as a value', 'write out its functions, as in Math.min(a, b)'),
  )
}

function checkMath(property: string, refuse: RefuseUse): void {
  if (property === 'random') refuse('Math.random', 'pass what you need as a field of the event or of the request')
  if (!PURE_MATH.includes(property))
    refuse(`Math.${property}`, `Math has here ${PURE_MATH.filter((other) => /^[a-z]/.test(other)).join(', ')}`)
}

function checkCall(node: AnyNode, refuse: RefuseUse): void {
  if (node.type !== 'CallExpression') return
  const callee = node.callee as AnyNode
  if (callee.type !== 'MemberExpression' || callee.computed === true) return
  const method = String((callee.property as AnyNode).name)
  if (LOCALE_METHODS.includes(method)) refuse(`${method}()`, 'compare strings with <, > and ===')
}

/** A literal pattern, or one built from texts. */
function checkPattern(node: AnyNode, refuse: RefuseUse): void {
  const { pattern, flags } = patternOf(node) ?? { pattern: '', flags: '' }
  const part = unstablePart(pattern, flags)
  if (part !== null)
    refuse(
      `${part} in a pattern`,
      'write the characters out, as in [a-zà-ÿ] or [éÉ]: what they are depends on the Unicode version',
    )
}

function patternOf(node: AnyNode): { readonly pattern: string; readonly flags: string } | null {
  if (node.type === 'Literal') return (node.regex as { pattern: string; flags: string } | undefined) ?? null
  const isPattern = /^(?:New|Call)Expression$/.test(node.type) && (node.callee as AnyNode).name === 'RegExp'
  if (!isPattern) return null
  const [pattern, flags] = (node.arguments as AnyNode[]).map(({ value }) => value)
  return typeof pattern === 'string' ? { pattern, flags: typeof flags === 'string' ? flags : '' } : null
}

function usesError(clause: AnyNode): boolean {
  if (clause.param === null || clause.param === undefined) return false
  const names = boundNames(clause.param as AnyNode)
  let used = false
  walk(clause.body as AnyNode, ({ type, name }) => {
    if (type === 'Identifier' && names.includes(String(name))) used = true
  })
  return used
}
