import type { FieldPlan } from '../../features/plan/field-type.ts'

const WHOLE = /^-?\d+$/
const ISO_TIME = /^\d{4}-\d{2}-\d{2}(T|$)/

/**
 * Command-line text as the JSON value that its field's type asks for. What does not fit stays text, so that the reader names field and type. Whole numbers
 * beyond 2^53 keep their digits (bigint); times are ISO-8601 (UTC unless they say otherwise) or epoch ms.
 */
export function parseTyped(fields: readonly FieldPlan[], given: ReadonlyMap<string, string>): Record<string, unknown> {
  const row: Record<string, unknown> = {}
  for (const { name, type } of fields) {
    const text = given.get(name)
    if (text !== undefined) row[name] = parseText(type.kind, text)
  }
  return row
}

function parseText(kind: FieldPlan['type']['kind'], text: string): unknown {
  switch (kind) {
    case 'string':
    case 'enum':
    case 'bytes':
      return text
    case 'bool':
      return text === 'true' ? true : text === 'false' ? false : text
    case 'timestamp':
      return ISO_TIME.test(text) ? parseTime(text) : parseNumber(text)
    case 'vector':
      return parseJson(text)
    default:
      return parseNumber(text)
  }
}

function parseNumber(text: string): unknown {
  const number = Number(text)
  if (WHOLE.test(text) && !Number.isSafeInteger(number)) return BigInt(text)
  return text.trim() === '' || Number.isNaN(number) ? text : number
}

/** A day or a time without a zone is UTC, whatever the machine's zone. */
function parseTime(text: string): unknown {
  const zoned = /(Z|[+-]\d{2}:?\d{2})$/.test(text) || !text.includes('T') ? text : `${text}Z`
  const ms = Date.parse(zoned)
  return Number.isNaN(ms) ? text : ms
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}
