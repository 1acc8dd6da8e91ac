import { parse } from 'acorn'
import type { Node } from 'acorn'

/** Any syntax node: acorn's own types are a union that a generic walk does not need. */
export interface AnyNode extends Node {
  readonly [field: string]: unknown
}

/** Visits every node below and including `node`, outer ones first. `parents` are outermost first. */
export function walk(
  node: AnyNode,
  visit: (node: AnyNode, parents: readonly AnyNode[]) => void,
  parents: readonly AnyNode[] = [],
): void {
  visit(node, parents)
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (typeof child === 'object' && child !== null && 'type' in child)
        walk(child as AnyNode, visit, [...parents, node])
    }
  }
}

export function parseBundle(code: string): AnyNode {
  return parse(code, { ecmaVersion: 2022 }) as unknown as AnyNode
}

export function isFunction(node: AnyNode): boolean {
  return /^(ArrowFunctionExpression|FunctionExpression|FunctionDeclaration)$/.test(node.type)
}

/** The statements of a bundle: the body of its outermost function. */
export function topLevel(bundle: AnyNode): readonly AnyNode[] {
  let body: readonly AnyNode[] = []
  walk(bundle, (node, parents) => {
    if (node.type === 'BlockStatement' && parents.at(-1)?.type === 'ArrowFunctionExpression' && body.length === 0)
      body = node.body as AnyNode[]
  })
  return body
}

/** Names that a declaration binds. */
export function declaredNames(statement: AnyNode): string[] {
  if (statement.type === 'FunctionDeclaration' || statement.type === 'ClassDeclaration')
    return [String((statement.id as AnyNode).name)]
  if (statement.type !== 'VariableDeclaration') return []
  return (statement.declarations as AnyNode[]).flatMap((declaration) => boundNames(declaration.id as AnyNode))
}

/** Names that a binding pattern (a parameter, the left of a declaration) binds. */
export function boundNames(pattern: AnyNode): string[] {
  switch (pattern.type) {
    case 'Identifier':
      return [String(pattern.name)]
    case 'ObjectPattern':
      return (pattern.properties as AnyNode[]).flatMap((property) =>
        boundNames((property.type === 'RestElement' ? property : property.value) as AnyNode),
      )
    case 'ArrayPattern':
      return (pattern.elements as (AnyNode | null)[]).flatMap((element) =>
        element === null ? [] : boundNames(element),
      )
    case 'AssignmentPattern':
      return boundNames(pattern.left as AnyNode)
    case 'RestElement':
      return boundNames(pattern.argument as AnyNode)
    default:
      return []
  }
}
