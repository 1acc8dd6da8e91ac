/**
 * What in a regular expression follows the Unicode version of the engine, as a text for a sentence, or null: classes by property, and ignoring case where a
 * letter beyond ASCII, or text that was matched before, is compared. (Ignoring the case of ASCII letters is stable: nothing new will ever fold to them.)
 */
export function unstablePart(source: string, flags: string): string | null {
  const isUnicode = /[uv]/.test(flags)
  let ignoresCase = flags.includes('i')
  let beyondAscii: string | null = null
  for (let i = 0; i < source.length; i++) {
    const character = source[i]
    if (character === '(' && /^\(\?[a-z]*i[a-z]*[:-]/.test(source.slice(i, i + 12))) ignoresCase = true
    if (character !== '\\') {
      if (character > '\x7f') beyondAscii ??= character
      continue
    }
    const escape = source[++i] ?? ''
    if (isUnicode && (escape === 'p' || escape === 'P')) return `\\${escape}{…}`
    const reference = /^(?:k<|[1-9])/.exec(source.slice(i, i + 2))
    if (reference !== null) beyondAscii ??= `\\${reference[0]}`
    const code = /^(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|u\{([\da-fA-F]+)\})/.exec(source.slice(i, i + 12))
    if (code !== null && Number.parseInt(code[1] ?? code[2] ?? code[3], 16) > 0x7f) beyondAscii ??= `\\${code[0]}`
  }
  return ignoresCase && beyondAscii !== null ? `flag i with ${beyondAscii}` : null
}
