import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import type { Command } from 'commander'
import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import { failStore } from '../../stores/errors.ts'
import { jsonLines } from '../../streams/json-lines.ts'
import { produce } from '../../streams/produce.ts'
import { settle } from '../settle.ts'
import { describeCount } from '../terminal/describe-amounts.ts'
import { describeAccepted } from './describe-accepted.ts'
import { checkStopped, print, withWork } from './with-project.ts'

const EXAMPLES = `
Each line is one JSON object with the fields of the source's schema. A line that cannot be taken in becomes a dead letter and the others go on;
the command fails only if every line was refused.

Examples:
  tidemark produce payments today.jsonl
  tail -f events.jsonl | tidemark produce payments -
`

export function registerProduce(program: Command): void {
  program
    .command('produce <source> <file>')
    .description('live events: JSON lines from a file, or - for standard input')
    .addHelpText('after', EXAMPLES)
    .action(async (source: string, file: string, _options: unknown, command: Command) => {
      await withWork(command, async ({ project, json, signal, progress }) => {
        const isEndless = file === '-'
        const sending = progress('produce', 'events')
        const input = await LineInput.open(file, signal)
        const result = await produce(project, source, input.lines(), {
          onProgress: (events) => sending.update(events, input.estimateTotal(events)),
          // Ctrl-C ends standard input: what had come is sent.
          signal: isEndless ? undefined : signal,
        })
        if (!isEndless)
          checkStopped(signal, () => {
            const sent = describeCount(result.accepted + result.refused)
            return `the first ${sent} events of ${file} were sent and count; events that are sent again count twice.`
          })
        const applying = progress('apply and archive', 'events')
        await settle(project, { onProgress: (moved) => applying.update(moved) })
        sending.end()
        print(json, result, describeAccepted(result))
        if (result.accepted === 0 && result.refused > 0) process.exitCode = 1
      })
    })
}

/** Lines of a file or of standard input, until they end or the signal is aborted. */
class LineInput {
  readonly #input: Readable
  readonly #signal: AbortSignal
  #bytesRead = 0
  /** null: not known. */
  readonly #bytes: number | null

  private constructor(input: Readable, bytes: number | null, signal: AbortSignal) {
    this.#input = input
    this.#bytes = bytes
    this.#signal = signal
  }

  /** TM_FILE_MISSING, TM_FILE_UNREADABLE. */
  static async open(file: string, signal: AbortSignal): Promise<LineInput> {
    if (file === '-') return new LineInput(process.stdin, null, signal)
    try {
      const handle = await open(file)
      const stat = await handle.stat()
      if (stat.isDirectory()) throw failStore('TM_FILE_UNREADABLE', `${file} is a folder: name a file of JSON lines`)
      return new LineInput(handle.createReadStream(), stat.isFile() ? stat.size : null, signal)
    } catch (error) {
      if (isTidemarkError(error)) throw error
      const reason = error instanceof Error ? error.message : String(error)
      throw failStore('TM_FILE_MISSING', `${file} cannot be read: ${reason}`, { cause: error })
    }
  }

  /** How many lines there will be, from the part of the bytes that has been read; null where the end is not known. */
  estimateTotal(lines: number): number | null {
    return this.#bytes === null || this.#bytesRead === 0 ? null : (lines * this.#bytes) / this.#bytesRead
  }

  async *lines(): AsyncIterable<string> {
    yield* jsonLines(this.#chunks())
  }

  /** Whole lines, and at the end of the input what follows the last one; a line that an abort cut short is left out. */
  async *#chunks(): AsyncIterable<Buffer> {
    const stop = (): void => void this.#input.destroy()
    this.#signal.addEventListener('abort', stop, { once: true })
    let rest: Buffer = Buffer.alloc(0)
    try {
      for await (const chunk of this.#input as AsyncIterable<Buffer>) {
        this.#bytesRead += chunk.length
        const bytes = Buffer.concat([rest, chunk])
        const end = bytes.lastIndexOf(0x0a) + 1
        rest = bytes.subarray(end)
        if (end > 0) yield bytes.subarray(0, end)
      }
    } catch (error) {
      // An input that was stopped ends; what it failed with otherwise is the caller's.
      if (!this.#signal.aborted) throw error
    } finally {
      this.#signal.removeEventListener('abort', stop)
    }
    if (!this.#signal.aborted && rest.length > 0) yield rest
  }
}
