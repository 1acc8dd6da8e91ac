import { MUTATORS } from './function-reads.ts'
import { boundNames, declaredNames, isFunction } from './syntax.ts'
import { walk } from './syntax.ts'
import type { AnyNode } from './syntax.ts'

/**
 * What a node of a bundle changes that outlives a call, as a text, or null: a function whose results depend on the events before is no function of the
 * event. `outer` are the names that the bundle declares outside of its functions.
 */
export function lastingChange(
  node: AnyNode,
  parents: readonly AnyNode[],
  outer: ReadonlyMap<string, AnyNode | null>,
): string | null {
  // The outermost function is the bundle itself.
  const [, ...functions] = parents.filter(isFunction)
  if (functions.length === 0) return null
  const isOuter = (name: string): boolean => outer.has(name) && !functions.some((fn) => localNames(fn).has(name))
  for (const target of changedTargets(node)) {
    const root = rootOf(target)
    if (root.type === 'ThisExpression' && !isConstructing(parents)) return 'this.… = …'
    const name = boundNames(root).find(isOuter)
    if (name !== undefined) return `${name} = …`
  }
  return node.type === 'CallExpression' ? changingCall(node, isOuter, outer) : null
}

function changedTargets(node: AnyNode): AnyNode[] {
  switch (node.type) {
    case 'AssignmentExpression':
    case 'ForOfStatement':
    case 'ForInStatement':
      return [node.left as AnyNode]
    case 'UpdateExpression':
      return [node.argument as AnyNode]
    case 'UnaryExpression':
      return node.operator === 'delete' ? [node.argument as AnyNode] : []
    default:
      return []
  }
}

/** The object at the left end of `a.b[c].d`. */
function rootOf(target: AnyNode): AnyNode {
  let root = target
  while (root.type === 'MemberExpression' || root.type === 'ChainExpression')
    root = (root.type === 'MemberExpression' ? root.object : root.expression) as AnyNode
  return root
}

/** A constructor may write its own object: nobody else has it yet. */
function isConstructing(parents: readonly AnyNode[]): boolean {
  const at = parents.findLastIndex((parent) => isFunction(parent) && parent.type !== 'ArrowFunctionExpression')
  const owner = at > 0 ? parents[at - 1] : undefined
  return owner?.type === 'MethodDefinition' && owner.kind === 'constructor'
}

/** `seen.add(…)`, `Object.assign(seen, …)`, `pattern.exec(…)` with a pattern that remembers where it stopped. */
function changingCall(
  call: AnyNode,
  isOuter: (name: string) => boolean,
  outer: ReadonlyMap<string, AnyNode | null>,
): string | null {
  const callee = call.callee as AnyNode
  if (callee.type !== 'MemberExpression' || callee.computed === true) return null
  const method = String((callee.property as AnyNode).name)
  const object = callee.object as AnyNode
  const root = rootOf(object)
  const name = root.type === 'Identifier' ? String(root.name) : ''
  if (isOuter(name) && MUTATORS.has(method)) return `${name}.${method}(…)`
  if (isOuter(name) && (method === 'exec' || method === 'test') && isSticky(outer.get(name) ?? null))
    return `${name}.${method}(…) (a pattern with flag g or y remembers where it stopped)`
  const [first] = call.arguments as AnyNode[]
  const target = first === undefined ? undefined : rootOf(first)
  const changes = /^(assign|defineProperty|defineProperties|setPrototypeOf|set|deleteProperty)$/.test(method)
  return changes && /^(Object|Reflect)$/.test(name) && target?.type === 'Identifier' && isOuter(String(target.name))
    ? `${name}.${method}(${String(target.name)}, …)`
    : null
}

function isSticky(value: AnyNode | null): boolean {
  const regex = value?.type === 'Literal' ? (value.regex as { readonly flags: string } | undefined) : undefined
  return regex !== undefined && /[gy]/.test(regex.flags)
}

function localNames(fn: AnyNode): Set<string> {
  const names = new Set((fn.params as AnyNode[]).flatMap(boundNames))
  walk(fn.body as AnyNode, (node) => {
    for (const name of declaredNames(node)) names.add(name)
  })
  return names
}

/** Names that the bundle declares outside of its functions, with what each is made of where that is one expression. */
export function outerNames(statements: readonly AnyNode[]): Map<string, AnyNode | null> {
  const names = new Map<string, AnyNode | null>(statements.flatMap(declaredNames).map((name) => [name, null]))
  for (const statement of statements) {
    if (statement.type !== 'VariableDeclaration') continue
    for (const { id, init } of statement.declarations as { id: AnyNode; init: AnyNode | null }[])
      if (id.type === 'Identifier') names.set(String(id.name), init)
  }
  return names
}
