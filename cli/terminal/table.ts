import { stripVTControlCharacters } from 'node:util'
import { terminalWidth, visibleLength, wrapText } from './wrap.ts'

const GAP = '  '
/** No column is made narrower than this. */
const WIDTH_MIN = 8

/**
 * Rows in columns as wide as their widest cell; numbers to the right. Cells may hold colour. Where that is wider than `width` characters, the widest cells
 * are broken into several lines.
 */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  width: number = terminalWidth(process.stdout),
): string[] {
  const all = [header, ...rows]
  const isNumber = header.map(
    (_, c) => rows.length > 0 && rows.every((row) => /^[\d.,≈–-]*( ?\w{1,2})?$/.test(plain(row[c]))),
  )
  const widths = narrowed(all, width)
  return all.flatMap((row) => {
    const cells = header.map((_, c) => wrapText(row[c] ?? '', widths[c]))
    return Array.from({ length: Math.max(...cells.map(({ length }) => length)) }, (_, line) =>
      cells
        .map((lines, c) => {
          const cell = lines[line] ?? ''
          const space = ' '.repeat(Math.max(0, widths[c] - visibleLength(cell)))
          return isNumber[c] ? space + cell : cell + space
        })
        .join(GAP)
        .trimEnd(),
    )
  })
}

/** The widest columns give way, one character after another, until all fit: down to their longest words first, then within those. */
function narrowed(all: readonly (readonly string[])[], width: number): number[] {
  const widest = (of: (cell: string) => number): number[] =>
    all[0].map((_, c) => Math.max(...all.map((row) => of(row[c] ?? ''))))
  const widths = widest(visibleLength)
  const words = widest((cell) => Math.max(...cell.split(' ').map(visibleLength)))
  let over = widths.reduce((sum, one) => sum + one, 0) + GAP.length * (widths.length - 1) - width
  for (const least of [words, words.map(() => WIDTH_MIN)])
    for (; over > 0; over--) {
      const room = widths.map((one, c) => (one > least[c] ? one : 0))
      const column = room.indexOf(Math.max(...room))
      if (room[column] === 0) break
      widths[column]--
    }
  return widths
}

function plain(text: string): string {
  return stripVTControlCharacters(text)
}
