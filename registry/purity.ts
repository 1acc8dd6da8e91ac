import { FORBIDDEN_GLOBALS, LOCALE_METHODS, PURE_MATH } from './compartment.ts'
import { failRegistry } from './errors.ts'
import { boundNames, declaredNames, isFunction, parseBundle, topLevel, walk } from './syntax.ts'
import type { AnyNode } from './syntax.ts'

type RefuseUse = (what: string, instead: string) => never

/**
 * Refuses bundled functions that would not give the same bits at every time and place, with a sentence at plan time; the compartment lacks what
 * is refused here anyway. Not seen: a collection outside the functions that a method call changes (`seen.add(…)`).
 */
export function checkPurity(code: string, file: string, exportName: string): void {
  const bundle = parseBundle(code)
  const outer = new Set(topLevel(bundle).flatMap(declaredNames))
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
    checkState(node, parents, outer, refuse)
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

/** A function that changes what stands outside it would depend on the events it saw before. */
function checkState(node: AnyNode, parents: readonly AnyNode[], outer: ReadonlySet<string>, refuse: RefuseUse): void {
  const [, ...functions] = parents.filter(isFunction)
  if (functions.length === 0) return
  for (const name of changedNames(node)) {
    if (outer.has(name) && !functions.some((fn) => localNames(fn).has(name)))
      refuse(`${name} = …, which stands outside of it and lives on between events`, 'compute from the event alone')
  }
}

function changedNames(node: AnyNode): string[] {
  const target =
    node.type === 'AssignmentExpression'
      ? node.left
      : node.type === 'UpdateExpression'
        ? node.argument
        : node.type === 'ForOfStatement' || node.type === 'ForInStatement'
          ? node.left
          : undefined
  if (target === undefined) return []
  let root = target as AnyNode
  while (root.type === 'MemberExpression') root = root.object as AnyNode
  return boundNames(root)
}

function localNames(fn: AnyNode): Set<string> {
  const names = new Set((fn.params as AnyNode[]).flatMap(boundNames))
  walk(fn.body as AnyNode, (node) => {
    for (const name of declaredNames(node)) names.add(name)
  })
  return names
}
