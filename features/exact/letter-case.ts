import { LOWER, LOWER_SEVERAL, UPPER, UPPER_SEVERAL } from './letter-case-data.ts'

/**
 * Upper and lower case, character by character, the same on every engine. It is what `toUpperCase` and `toLowerCase` of an engine of the same Unicode version give, but for
 * Σ, whose lower case is σ at the end of a word, too.
 */
export function upperCase(text: string): string {
  return ASCII.test(text) ? text.toUpperCase() : mapped(text, (upper ??= parse(UPPER, UPPER_SEVERAL)), 'toUpperCase')
}

export function lowerCase(text: string): string {
  return ASCII.test(text) ? text.toLowerCase() : mapped(text, (lower ??= parse(LOWER, LOWER_SEVERAL)), 'toLowerCase')
}

/** Where every engine agrees. */
// oxlint-disable-next-line no-control-regex -- ASCII has them
const ASCII = /^[\0-\x7f]*$/

type Mapping = ReadonlyMap<number, string>
let upper: Mapping | undefined
let lower: Mapping | undefined

function mapped(text: string, mapping: Mapping, ascii: 'toUpperCase' | 'toLowerCase'): string {
  let result = ''
  for (const character of text)
    result += character <= '\x7f' ? character[ascii]() : (mapping.get(character.codePointAt(0) ?? 0) ?? character)
  return result
}

function parse(runs: string, several: string): Mapping {
  const mapping = new Map<number, string>()
  let start = 0
  for (const run of runs.split(' ')) {
    const [distance, difference, further = '0'] = run.split(',')
    start += Number.parseInt(distance, 36)
    const step = further.endsWith('+') ? 2 : 1
    const last = start + step * Number.parseInt(further, 36)
    for (let code = start; code <= last; code += step)
      mapping.set(code, String.fromCodePoint(code + Number.parseInt(difference, 36)))
  }
  for (const entry of several.split(' ')) {
    const code = entry.codePointAt(0) ?? 0
    mapping.set(code, entry.slice(String.fromCodePoint(code).length))
  }
  return mapping
}
