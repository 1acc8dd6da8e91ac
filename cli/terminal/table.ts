import { stripVTControlCharacters } from 'node:util'

/** Rows in columns as wide as their widest cell; numbers to the right. Cells may hold colour. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [header, ...rows]
  const widths = header.map((_, c) => Math.max(...all.map((row) => visibleLength(row[c] ?? ''))))
  const isNumber = header.map(
    (_, c) => rows.length > 0 && rows.every((row) => /^[\d.,≈–-]*( ?\w{1,2})?$/.test(plain(row[c]))),
  )
  return all.map((row) =>
    row
      .map((cell, c) => {
        const space = ' '.repeat(widths[c] - visibleLength(cell))
        return isNumber[c] ? space + cell : cell + space
      })
      .join('  ')
      .trimEnd(),
  )
}

function plain(text: string): string {
  return stripVTControlCharacters(text)
}

function visibleLength(text: string): number {
  return Array.from(plain(text)).length
}
