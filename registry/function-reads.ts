import { parse } from 'acorn'
import { boundNames, isFunction, walk } from './syntax.ts'
import type { AnyNode } from './syntax.ts'

/** What a function does with its argument (an event, a vector). */
export interface FunctionReads {
  /** Properties that it names, in order of appearance. */
  readonly names: readonly string[]
  /** It hands the argument on, or reads it by computed names: more than `names` may be read. */
  readonly whole: boolean
  /** Names through which it would change its argument. */
  readonly changes: readonly string[]
  /** It gives a promise or an iterator, never a value. */
  readonly isDeferred: boolean
}

/** Methods that change the object they are called on. */
export const MUTATORS: ReadonlySet<string> = new Set(
  'push pop shift unshift splice sort reverse fill copyWithin set add delete clear next'.split(' '),
)

/** Reads a function's own code. Nothing is known of a function that is not written in JavaScript. */
export function functionReads(fn: (...args: never[]) => unknown): FunctionReads {
  const root = parseFunction(Function.prototype.toString.call(fn))
  const first = root === null ? undefined : (root.params as AnyNode[])[0]
  const isDeferred = root !== null && (root.async === true || root.generator === true)
  if (root === null || first === undefined) return { names: [], whole: root === null, changes: [], isDeferred }
  return { ...argumentReads(root, first), isDeferred }
}

type ArgumentReads = Omit<FunctionReads, 'isDeferred'>

function argumentReads(root: AnyNode, first: AnyNode): ArgumentReads {
  const parameter = first.type === 'AssignmentPattern' ? (first.left as AnyNode) : first
  if (parameter.type === 'ObjectPattern') return patternReads(parameter)
  return parameter.type === 'Identifier'
    ? parameterReads(root, String(parameter.name))
    : { names: [], whole: true, changes: [] }
}

function parseFunction(code: string): AnyNode | null {
  for (const text of [`(${code})`, `({${code}})`]) {
    try {
      let found: AnyNode | null = null
      walk(parse(text, { ecmaVersion: 'latest' }) as unknown as AnyNode, (node) => {
        if (found === null && isFunction(node)) found = node
      })
      return found
    } catch {
      // A method's text is no expression: the second form is.
    }
  }
  return null
}

function patternReads(pattern: AnyNode): ArgumentReads {
  const names: string[] = []
  let whole = false
  for (const property of pattern.properties as AnyNode[]) {
    if (property.type === 'RestElement' || property.computed === true) whole = true
    else names.push(keyName(property.key as AnyNode))
  }
  return { names, whole, changes: [] }
}

function keyName(key: AnyNode): string {
  return String(key.type === 'Literal' ? key.value : key.name)
}

function parameterReads(root: AnyNode, parameter: string): ArgumentReads {
  const names: string[] = []
  const changes: string[] = []
  let whole = false
  walk(root.body as AnyNode, (node, parents) => {
    if (node.type !== 'Identifier' || node.name !== parameter || isHidden(parents, parameter)) return
    const parent = parents.at(-1)
    if (parent === undefined || isKey(node, parent)) {
      if (parent === undefined) whole = true
      return
    }
    if (
      parent.type === 'VariableDeclarator' &&
      parent.init === node &&
      (parent.id as AnyNode).type === 'ObjectPattern'
    ) {
      const pattern = patternReads(parent.id as AnyNode)
      names.push(...pattern.names)
      whole ||= pattern.whole
      return
    }
    if (parent.type !== 'MemberExpression' || parent.object !== node || parent.computed === true) {
      const literal =
        parent.type === 'MemberExpression' && parent.object === node && (parent.property as AnyNode).type === 'Literal'
      if (literal) names.push(String((parent.property as AnyNode).value))
      else whole = true
    } else names.push(String((parent.property as AnyNode).name))
    const changed = changeThrough(node, parents)
    if (changed !== null) changes.push(changed)
  })
  return { names: [...new Set(names)], whole, changes }
}

/** An inner function, or a declaration in the way, has a name of its own. */
function isHidden(parents: readonly AnyNode[], name: string): boolean {
  return parents.some((parent) => isFunction(parent) && (parent.params as AnyNode[]).flatMap(boundNames).includes(name))
}

function isKey(node: AnyNode, parent: AnyNode): boolean {
  if (parent.type === 'MemberExpression') return parent.property === node && parent.computed !== true
  return parent.type === 'Property' && parent.key === node && parent.computed !== true && parent.shorthand !== true
}

/** `e.x = …`, `e.x.y++`, `delete e.x`, `e.list.push(…)`: the text of what is changed, or null. */
export function changeThrough(node: AnyNode, parents: readonly AnyNode[]): string | null {
  let inner = node
  let last = ''
  for (let i = parents.length - 1; i >= 0; i--) {
    const parent = parents[i]
    if (parent.type === 'MemberExpression' && parent.object === inner) {
      last = parent.computed === true ? '[…]' : String((parent.property as AnyNode).name)
      inner = parent
      continue
    }
    if (parent.type === 'ChainExpression') {
      inner = parent
      continue
    }
    if (inner === node && parent.type !== 'UpdateExpression' && parent.type !== 'AssignmentExpression') return null
    if (parent.type === 'AssignmentExpression' && parent.left === inner) return `${String(node.name)}.${last} = …`
    if (parent.type === 'UpdateExpression') return `${String(node.name)}.${last} = …`
    if (parent.type === 'UnaryExpression' && parent.operator === 'delete') return `delete ${String(node.name)}.${last}`
    if (parent.type === 'CallExpression' && parent.callee === inner && MUTATORS.has(last))
      return `${String(node.name)}….${last}(…)`
    return null
  }
  return null
}
