import { failCli } from './errors.ts'
import type { LineInput } from './line-input.ts'

/** How records of bytes stand in a file: each as base64 on a line of its own, or each behind its length, 4 bytes big-endian. */
export const RECORD_FORMS = ['base64', 'length-prefixed'] as const
export type RecordForm = (typeof RECORD_FORMS)[number]

const LENGTH_BYTES = 4
const RECORD_BYTES_MAX = 16 << 20
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/

/** The records of an input. TM_RECORDS_UNREADABLE names the first that is none; those before it were given. */
export async function* readRecords(input: LineInput, form: RecordForm): AsyncIterable<Uint8Array> {
  if (form === 'length-prefixed') yield* prefixedRecords(input)
  else yield* base64Records(input)
}

async function* base64Records(input: LineInput): AsyncIterable<Uint8Array> {
  let number = 0
  for await (const line of input.lines()) {
    number++
    const text = typeof line === 'string' ? line.trim() : null
    if (text === null || !BASE64.test(text) || text.length % 4 !== 0)
      throw unreadable(`line ${number} is no base64`, 'expected one record in base64 on each line')
    if (text !== '') yield Buffer.from(text, 'base64')
  }
}

async function* prefixedRecords(input: LineInput): AsyncIterable<Uint8Array> {
  let held: Buffer = Buffer.alloc(0)
  let number = 1
  for await (const chunk of input.chunks()) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    let at = 0
    for (; at + LENGTH_BYTES <= held.length; number++) {
      const length = held.readUInt32BE(at)
      if (length > RECORD_BYTES_MAX)
        throw unreadable(
          `record ${number} announces ${length} bytes, at most ${RECORD_BYTES_MAX} are taken`,
          'expected records, each behind its length in 4 bytes, big-endian',
        )
      if (at + LENGTH_BYTES + length > held.length) break
      yield Uint8Array.prototype.slice.call(held, at + LENGTH_BYTES, at + LENGTH_BYTES + length)
      at += LENGTH_BYTES + length
    }
    held = held.subarray(at)
  }
  if (held.length > 0 && !input.isAborted) throw unreadable(`record ${number} is cut short`, 'the file ends within it')
}

function unreadable(problem: string, expected: string): Error {
  return failCli('TM_RECORDS_UNREADABLE', `${problem}: ${expected}; the records before it were taken`)
}
