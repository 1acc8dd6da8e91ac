import { sourceLogName } from '../../features/plan/source-plan.ts'
import { readServed } from '../../inference/served-log.ts'
import { encodeServedRow } from '../../inference/served-record.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import type { Log, LogRecord } from '../../stores/log/log.ts'
import { deadTopic, keyedTopic, sourceTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'
import { readDeadLetters, readStoredLetters } from '../dead-letters/dead-letters.ts'
import type { DeadLetter, StoredLetter } from '../dead-letters/dead-letters.ts'
import { LetterOutcomes } from '../dead-letters/dead-letter-outcomes.ts'
import { decodeEvents } from '../ingest/decode-events.ts'
import { joinLines, splitLines } from '../ingest/event-lines.ts'
import { readBlock } from '../blocks/keyed-reader.ts'
import type { EventLine } from '../ingest/event-lines.ts'
import { thinBlock } from '../blocks/thinned-block.ts'
import type { ForgottenKey } from './forgotten-key.ts'

const FETCH_BYTES = 4 << 20
const FORGOTTEN = 'TM_EVENT_FORGOTTEN'

interface Change {
  readonly offset: number
  readonly value: Uint8Array | null
}

/** Rewrites the records of a partition for which `change` gives another value (null: the record goes); returns how many. */
async function rewriteRecords(
  log: Log,
  topic: string,
  partition: number,
  change: (record: LogRecord) => Uint8Array | null | undefined,
): Promise<number> {
  if ((await log.topic(topic)) === null) return 0
  let rewritten = 0
  for (let next = await log.startOffset(topic, partition); ;) {
    const records = await log.read(topic, partition, next, FETCH_BYTES)
    if (records.length === 0) return rewritten
    next = records[records.length - 1].offset + 1
    const changes: Change[] = []
    for (const record of records) {
      const value = change(record)
      if (value !== undefined) changes.push({ offset: record.offset, value })
    }
    if (changes.length > 0) await log.rewrite(topic, partition, changes)
    rewritten += changes.length
  }
}

/** Takes the key's events out of a keyed log's blocks; offsets, sequences and positions of all others stay. Returns how many events went. */
export async function thinKeyedLog(
  { log, partitions }: StreamContext,
  key: ForgottenKey,
  keyedLog: { readonly name: string; readonly source: SourcePlan },
): Promise<number> {
  let events = 0
  for (let partition = 0; partition < partitions; partition++)
    await rewriteRecords(log, keyedTopic(keyedLog.name), partition, (record) => {
      const block = readBlock(record, keyedLog.source.fields, `${keyedLog.name}/${partition}`)
      const removed = key.rowsOf(keyedLog.source, block.columns, block.length)
      const count = removed.reduce((sum, one) => sum + one, 0)
      events += count
      return count === 0 ? undefined : thinBlock(block, removed)
    })
  return events
}

/** Empties the key's lines in a source topic: a line's number is part of its event's sequence, and a blank line is no event. */
export async function thinSourceTopic(context: StreamContext, key: ForgottenKey, source: SourcePlan): Promise<number> {
  let lines = 0
  await rewriteRecords(context.log, sourceTopic(context, source), 0, ({ value }) => {
    const before = splitLines(value)
    const about = linesAbout(key, source, before)
    const count = about.reduce((sum, one) => sum + one, 0)
    if (count === 0) return undefined
    lines += count
    return joinLines(before.map((line, i) => (about[i] === 1 ? '' : line)))
  })
  return lines
}

/** 1 for each line that is an event about the key, or no event and yet speaks of it. */
function linesAbout(key: ForgottenKey, source: SourcePlan, lines: readonly EventLine[]): Uint8Array {
  const about = new Uint8Array(lines.length)
  const decoded = decodeEvents(source, [], lines)
  const rows = key.rowsOf(source, decoded.columns, decoded.rows.length)
  decoded.rows.forEach((line, i) => (about[line] = rows[i]))
  for (const { row } of decoded.refused) {
    const line = lines[row]
    if (typeof line === 'string' ? line !== '' && key.isInText(line) : key.isInBytes(line)) about[row] = 1
  }
  return about
}

/** Takes payload and reason out of the key's dead letters; pending ones count as dropped from then on. */
export async function thinDeadLetters(context: StreamContext, key: ForgottenKey, source: SourcePlan): Promise<number> {
  const { log } = context
  if ((await log.topic(deadTopic(sourceLogName(source)))) === null) return 0
  const isAbout = ({ payload, reason, base64 }: DeadLetter): boolean => {
    const line: EventLine = base64 === true ? Buffer.from(payload, 'base64') : payload
    if (typeof line === 'string' && linesAbout(key, source, [line])[0] === 1) return true
    return (typeof line !== 'string' && key.isInBytes(line)) || key.isInText(reason)
  }
  const outcomes = await LetterOutcomes.read(log, sourceLogName(source))
  const open: { offset: number; code: string }[] = []
  for await (const { letters } of readDeadLetters(log, sourceLogName(source)))
    for (const letter of letters) if (outcomes.of(letter.offset) === null && isAbout(letter)) open.push(letter)
  await outcomes.append(log, 'dropped', open)
  let emptied = 0
  for await (const { letters } of readStoredLetters(log, sourceLogName(source))) {
    const about = letters.filter(isAbout)
    if (about.length > 0) await log.rewrite(deadTopic(sourceLogName(source)), 0, about.flatMap(emptyLetter))
    emptied += about.length
  }
  return emptied
}

/** Its first record without the payload; the others go. */
function emptyLetter({ offset, records, code, origin, sequence, movedFrom, arrivedAt }: StoredLetter): Change[] {
  const letter: DeadLetter = { code, reason: FORGOTTEN, origin, sequence, payload: '', movedFrom, arrivedAt }
  const value = Buffer.from(JSON.stringify(letter))
  return Array.from({ length: records }, (_, i) => ({ offset: offset + i, value: i === 0 ? value : null }))
}

/** Removes the key's served vectors, and those that hold its text, from the served log. */
export async function thinServedLog({ log }: StreamContext, key: ForgottenKey): Promise<number> {
  const gone: number[] = []
  for await (const records of readServed(log))
    for (const { offset, row } of records)
      if (row !== null && (key.isNamed(row.entity) || key.isInBytes(encodeServedRow(row)))) gone.push(offset)
  if (gone.length > 0)
    await log.rewrite(
      'served',
      0,
      gone.map((offset) => ({ offset, value: null })),
    )
  return gone.length
}
