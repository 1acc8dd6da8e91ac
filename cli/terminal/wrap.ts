import { stripVTControlCharacters } from 'node:util'

// oxlint-disable-next-line no-control-regex -- the escape that begins a colour
const COLOUR = /\u001b\[[0-9;]*m/g
const RESET = '\u001b[0m'

/** Characters in a line of the stream's terminal; Infinity where it is none: what reads it there breaks no lines. */
export function terminalWidth(stream: NodeJS.WriteStream): number {
  return stream.isTTY && stream.columns > 0 ? stream.columns : Infinity
}

/** Characters that are seen. */
export function visibleLength(text: string): number {
  return Array.from(stripVTControlCharacters(text)).length
}

/** The text in lines of at most `width` characters, broken between words, and within one only where it is longer than a line. Colour does not run over the end of a line. */
export function wrapText(text: string, width: number): string[] {
  if (visibleLength(text) <= width) return [text]
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ').flatMap((part) => pieces(part, width))) {
    if (line !== '' && visibleLength(line) + 1 + visibleLength(word) > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return closeColours([...lines, line])
}

/** A word longer than a line, in pieces; it has no colour within. */
function pieces(word: string, width: number): string[] {
  if (visibleLength(word) <= width) return [word]
  const characters = Array.from(word.replaceAll(COLOUR, ''))
  return Array.from({ length: Math.ceil(characters.length / width) }, (_, i) =>
    characters.slice(i * width, (i + 1) * width).join(''),
  )
}

/** A colour that is on at the end of a line is put off there, and on again in the next. */
function closeColours(lines: readonly string[]): string[] {
  let open = ''
  return lines.map((line) => {
    const begun = open
    for (const [code] of line.matchAll(COLOUR)) open = /\[(0|22|39)?m$/.test(code) ? '' : code
    return `${begun}${line}${open === '' ? '' : RESET}`
  })
}
