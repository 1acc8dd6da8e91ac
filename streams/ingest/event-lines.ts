import { isUtf8 } from 'node:buffer'

/** An event as it was sent: a line of text, or bytes that are not UTF-8. */
export type EventLine = string | Uint8Array

const NEWLINE = 0x0a
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const encoder = new TextEncoder()

/** Events as one record of a source topic: the lines with newlines between them. */
export function joinLines(lines: readonly EventLine[]): Uint8Array {
  if (lines.every((line) => typeof line === 'string')) return encoder.encode(lines.join('\n'))
  return Buffer.concat(
    lines.flatMap((line, i) => {
      const bytes = typeof line === 'string' ? encoder.encode(line) : line
      return i === 0 ? [bytes] : [Uint8Array.of(NEWLINE), bytes]
    }),
  )
}

/** The events of a record. */
export function splitLines(record: Uint8Array): EventLine[] {
  if (isUtf8(record)) return decoder.decode(record).split('\n')
  const lines: EventLine[] = []
  for (let start = 0; start <= record.length;) {
    const newline = record.indexOf(NEWLINE, start)
    const end = newline < 0 ? record.length : newline
    const line = record.subarray(start, end)
    lines.push(isUtf8(line) ? decoder.decode(line) : line.slice())
    start = end + 1
  }
  return lines
}
