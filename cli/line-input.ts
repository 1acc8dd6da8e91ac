import { isUtf8 } from 'node:buffer'
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import { failStore } from '../stores/errors.ts'
import type { EventLine } from '../streams/ingest/event-lines.ts'
import { failCli } from './errors.ts'

const NEWLINE = 0x0a
const BOM = '\ufeff'
/** An event is smaller; a file without line ends is no JSON Lines. */
const LINE_BYTES_MAX = 16 << 20

/** Lines of a file or of standard input, until they end or the signal is aborted. */
export class LineInput {
  readonly #file: string
  readonly #input: Readable
  readonly #signal: AbortSignal
  #bytesRead = 0
  /** null: not known. */
  readonly #bytes: number | null

  private constructor(file: string, input: Readable, bytes: number | null, signal: AbortSignal) {
    this.#file = file
    this.#input = input
    this.#bytes = bytes
    this.#signal = signal
  }

  /** `-` is standard input. TM_FILE_MISSING, TM_FILE_UNREADABLE. */
  static async open(file: string, signal: AbortSignal): Promise<LineInput> {
    if (file === '-') return new LineInput(file, process.stdin, null, signal)
    try {
      const handle = await open(file)
      const stat = await handle.stat()
      if (stat.isDirectory()) throw failStore('TM_FILE_UNREADABLE', `${file} is a folder: name a file of JSON lines`)
      return new LineInput(file, handle.createReadStream(), stat.isFile() ? stat.size : null, signal)
    } catch (error) {
      if (isTidemarkError(error)) throw error
      if ((error as { code?: unknown }).code === 'ENOENT')
        throw failStore('TM_FILE_MISSING', `${file} does not exist: check the path`, { cause: error })
      const reason = error instanceof Error ? error.message : String(error)
      throw failStore('TM_FILE_UNREADABLE', `${file} cannot be read: ${reason}`, { cause: error })
    }
  }

  /** How many lines there will be, from the part of the bytes that has been read; null where the end is not known. */
  estimateTotal(lines: number): number | null {
    return this.#bytes === null || this.#bytesRead === 0 ? null : (lines * this.#bytes) / this.#bytesRead
  }

  /** Lines without their ends (\n, \r\n). One that is not UTF-8 is given as its bytes; one that an abort cut short is left out. TM_LINE_TOO_LONG. */
  async *lines(): AsyncIterable<EventLine> {
    let rest: Buffer[] = []
    let restBytes = 0
    let count = 0
    for await (const chunk of this.chunks()) {
      const end = chunk.lastIndexOf(NEWLINE)
      if (end < 0) {
        rest.push(chunk)
        restBytes += chunk.length
        if (restBytes > LINE_BYTES_MAX) throw tooLong(this.#file, count + 1)
        continue
      }
      for (const line of linesOf(Buffer.concat([...rest, chunk.subarray(0, end)])))
        yield count++ === 0 ? withoutBom(line) : line
      rest = [chunk.subarray(end + 1)]
      restBytes = rest[0].length
    }
    const last = Buffer.concat(rest)
    if (last.length > 0 && !this.#signal.aborted)
      for (const line of linesOf(last)) yield count++ === 0 ? withoutBom(line) : line
  }

  get isAborted(): boolean {
    return this.#signal.aborted
  }

  /** Its bytes as they come. */
  async *chunks(): AsyncIterable<Buffer> {
    const stop = (): void => void this.#input.destroy()
    this.#signal.addEventListener('abort', stop)
    try {
      for await (const chunk of this.#input) {
        if (this.#signal.aborted) return
        this.#bytesRead += (chunk as Buffer).length
        yield chunk as Buffer
      }
    } catch (error) {
      if (!this.#signal.aborted) throw error
    } finally {
      this.#signal.removeEventListener('abort', stop)
    }
  }
}

function tooLong(file: string, line: number): Error {
  return failCli(
    'TM_LINE_TOO_LONG',
    `line ${line} of ${file} is longer than ${LINE_BYTES_MAX >> 20} MB: expected JSON Lines, one event a line; the lines before it were taken`,
  )
}

function linesOf(bytes: Buffer): EventLine[] {
  if (isUtf8(bytes)) return bytes.toString('utf8').split(/\r?\n/)
  const lines: EventLine[] = []
  for (let start = 0; start <= bytes.length;) {
    const newline = bytes.indexOf(NEWLINE, start)
    const end = newline < 0 ? bytes.length : newline
    const line = bytes.subarray(start, end > start && bytes[end - 1] === 0x0d ? end - 1 : end)
    lines.push(isUtf8(line) ? line.toString('utf8') : Uint8Array.from(line))
    start = end + 1
  }
  return lines
}

function withoutBom(line: EventLine): EventLine {
  return typeof line === 'string' && line.startsWith(BOM) ? line.slice(BOM.length) : line
}
