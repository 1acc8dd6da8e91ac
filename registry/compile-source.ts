import type { EntityDefinition, SourceDefinition } from '../features/authoring/definitions.ts'
import type { FieldPlan, FieldType } from '../features/plan/field-type.ts'
import type { EntityPlan, SourcePlan } from '../features/plan/source-plan.ts'
import { compileFormat } from './compile-format.ts'
import { describeValue, isRecord, unknownName } from './describe-value.ts'

/** Says what is wrong with a definition; the caller adds where: `about` is a word that stands in the offending line. */
export type Refuse = (about: string, problem: string) => never

const NAME = /^[a-z][a-z0-9_]*$/
const VECTOR_LENGTH_MAX = 65_536

/** Definition files run without a type checker: nothing of a definition may be taken for granted. */
export function checkName(name: unknown, what: string, refuse: Refuse): asserts name is string {
  if (typeof name !== 'string')
    return refuse(what, `${what} name must be a text like 'card_spend', found ${describeValue(name)}`)
  if (!NAME.test(name) || name.length > 200)
    refuse(
      name,
      `${what} name ${describeValue(name)} is not allowed: lower-case letters, digits and _, a letter first, at most 200`,
    )
  if (name.includes('__'))
    refuse(name, `${what} name ${describeValue(name)} holds __, which separates view and feature in full names`)
}

export function compileFields(schema: unknown, what: string, refuse: Refuse): FieldPlan[] {
  if (!isRecord(schema))
    return refuse(what, `${what} must have columns, as in { card_id: t.string() }, found ${describeValue(schema)}`)
  const names = Object.keys(schema)
  if (names.length === 0) refuse(what, `${what} has no columns: give it at least one`)
  return names.map((name) => {
    if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(name))
      refuse(
        name,
        `column name ${describeValue(name)} of ${what} is not allowed: letters, digits and _, a letter first`,
      )
    return { name, ...compileType(schema[name], `column ${name} of ${what}`, (problem) => refuse(name, problem)) }
  })
}

/** The plan of what `t.…()` gave. */
export function compileType(node: unknown, what: string, refuse: (problem: string) => never): Omit<FieldPlan, 'name'> {
  const plan = isRecord(node) ? node.plan : undefined
  const type = isRecord(plan) ? (plan.type as FieldType) : undefined
  if (type === undefined)
    return refuse(`${what} must have a type, as in t.string(), found ${describeValue(node)}: is () missing?`)
  const problem = typeProblem(type)
  if (problem !== null) refuse(`${what}: ${problem}`)
  return plan as unknown as Omit<FieldPlan, 'name'>
}

function typeProblem(type: FieldType): string | null {
  if (type.kind === 'vector') {
    const { length } = type
    return Number.isInteger(length) && length >= 1 && length <= VECTOR_LENGTH_MAX
      ? null
      : `t.vector(n) needs a length between 1 and ${VECTOR_LENGTH_MAX}, found ${describeValue(length)}`
  }
  if (type.kind !== 'enum') return null
  const { values } = type
  if (values.length === 0) return `t.enum(…) needs at least one value, as in t.enum('web', 'shop')`
  const other = values.find((value) => typeof value !== 'string' || !value.isWellFormed())
  if (other !== undefined) return `t.enum(…) takes texts, found ${describeValue(other)}`
  const twice = values.find((value, i) => values.indexOf(value) !== i)
  return twice === undefined ? null : `t.enum(…) names ${describeValue(twice)} twice`
}

const STREAM_OPTIONS = ['topic', 'format', 'schema', 'eventTime']
const TABLE_OPTIONS = ['schema', 'eventTime', 'arrival', 'schedule', 'files']

export function compileSource(definition: SourceDefinition, refuse: Refuse): SourcePlan {
  const { kind, name, topic, eventTime, arrival } = definition
  checkName(name, kind, refuse)
  const unknown = unknownName(definition.given, kind === 'stream' ? STREAM_OPTIONS : TABLE_OPTIONS, `${kind} ${name}`)
  if (unknown !== null) refuse(unknown.split('"')[1], unknown)
  const fields = compileFields(definition.schema, `${kind} ${name}`, refuse)
  if (typeof topic !== 'string' || !/^[A-Za-z0-9._-]{1,249}$/.test(topic))
    refuse('topic', `topic ${describeValue(topic)} of ${kind} ${name} is not allowed: 1–249 letters, digits and . _ -`)
  checkTime(fields, eventTime, 'eventTime', definition, refuse)
  if (arrival !== null) checkTime(fields, arrival, 'arrival', definition, refuse)
  const format = compileFormat(definition, fields, refuse)
  return { kind, name, topic, format, fields, eventTime, arrival }
}

function checkTime(
  fields: readonly FieldPlan[],
  column: unknown,
  option: string,
  { kind, name }: SourceDefinition,
  refuse: Refuse,
): void {
  const field = fields.find((other) => other.name === column)
  if (field === undefined)
    refuse(
      option,
      `${option} of ${kind} ${name} must name one of its columns (${listFields(fields)}), found ${describeValue(column)}`,
    )
  else if (field.type.kind !== 'timestamp' || field.nullable)
    refuse(
      field.name,
      `column ${field.name} of ${kind} ${name} must be t.timestamp(), not nullable, to be its ${option}`,
    )
}

export function compileEntity(definition: EntityDefinition, refuse: Refuse): EntityPlan {
  checkName(definition.name, 'entity', refuse)
  const columns = compileFields(definition.columns, `entity ${definition.name}`, refuse)
  for (const { name, type, nullable } of columns) {
    if (type.kind === 'vector')
      refuse(name, `column ${name} of entity ${definition.name} is a vector: a key is made of scalar columns`)
    if (nullable)
      refuse(
        name,
        `column ${name} of entity ${definition.name} is nullable: a key has no nulls (the source's column may)`,
      )
  }
  return { kind: 'entity', name: definition.name, columns }
}

export function listFields(fields: readonly FieldPlan[]): string {
  return fields.map(({ name }) => name).join(', ')
}
