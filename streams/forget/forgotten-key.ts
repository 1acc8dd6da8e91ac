import type { EntityPlan, SourcePlan } from '../../features/plan/source-plan.ts'
import type { Value } from '../../features/plan/field-type.ts'
import { valueToJson } from '../../features/values/json-values.ts'
import type { Column } from '../../features/values/column.ts'
import { entityKeyBytes, entityKeysOfBatch } from '../../features/values/entity-key.ts'
import { sqlLiteral } from '../../stores/tables/sql-literal.ts'
import { sqlName } from '../../stores/tables/tables.ts'
import { entityColumns } from '../ingest/keyed-append.ts'

/** Shorter texts are found in too much that has nothing to do with the key. */
const SEARCHED_BYTES_MIN = 4

/** A key that is to be forgotten. */
export class ForgottenKey {
  readonly entity: EntityPlan
  readonly values: readonly Value[]
  readonly bytes: Uint8Array

  constructor(entity: EntityPlan, values: readonly Value[]) {
    this.entity = entity
    this.values = values
    this.bytes = entityKeyBytes(values)
  }

  /** Whether events of a source can be about the key: the source has the entity's columns, of its types. */
  isIn({ fields }: SourcePlan): boolean {
    return this.entity.columns.every((column) =>
      fields.some(({ name, type }) => name === column.name && type.kind === column.type.kind),
    )
  }

  /** 1 for each row that is about the key. */
  rowsOf(source: SourcePlan, columns: readonly Column[], length: number): Uint8Array {
    const { distinct, keyOf } = entityKeysOfBatch(this.entity, entityColumns(source, this.entity, columns), length)
    const own = distinct.findIndex((key) => Buffer.compare(key, this.bytes) === 0)
    const rows = new Uint8Array(length)
    if (own >= 0) for (let i = 0; i < length; i++) if (keyOf[i] === own) rows[i] = 1
    return rows
  }

  /** SQL that is true for archived rows about the key. */
  sql(): string {
    return this.entity.columns
      .map((column, i) => `${sqlName(column.name)} = ${sqlLiteral(column, this.values[i])}`)
      .join(' AND ')
  }

  /** Whether a row of named values (a served vector's entity) is about the key. */
  isNamed(values: Readonly<Record<string, Value>>): boolean {
    if (!this.entity.columns.every(({ name }) => Object.hasOwn(values, name) && values[name] !== null)) return false
    const found = entityKeyBytes(this.entity.columns.map(({ name }) => values[name]))
    return Buffer.compare(found, this.bytes) === 0
  }

  /** Whether bytes hold a text or binary component of the key, of 4 bytes or more. */
  isInBytes(bytes: Uint8Array): boolean {
    const within = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return this.#searched().some((part) => within.includes(part))
  }

  /**
   * Whether something that is no valid event speaks of the key: JSON whose key columns read like it, or text that has every component as a word of its own.
   */
  isInText(text: string): boolean {
    const texts = this.values.map((value) =>
      typeof value === 'string' ? value : valueToJson(value).replaceAll('"', ''),
    )
    try {
      const parsed = JSON.parse(text) as Readonly<Record<string, unknown>> | null
      if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) {
        const isAbout = this.entity.columns.every(({ name }, i) => String(parsed[name]) === texts[i])
        return isAbout || this.isInBytes(Buffer.from(text))
      }
    } catch {
      // Text, then.
    }
    return texts.every((word) => hasWord(text, word)) || this.isInBytes(Buffer.from(text))
  }

  #searched(): Buffer[] {
    return this.values
      .filter((value) => typeof value === 'string' || value instanceof Uint8Array)
      .map((value) => Buffer.from(value as string))
      .filter(({ length }) => length >= SEARCHED_BYTES_MIN)
  }
}

const WORD = /[\p{L}\p{N}_]/u

function hasWord(text: string, word: string): boolean {
  if (word === '') return false
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    const before = text[at - 1] ?? ' '
    const after = text[at + word.length] ?? ' '
    if (!WORD.test(before) && !WORD.test(after)) return true
  }
  return false
}
