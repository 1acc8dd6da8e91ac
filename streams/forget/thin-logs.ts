import { sourceLogName } from '../../features/plan/source-plan.ts'
import { readServed } from '../../inference/served-log.ts'
import { encodeServedRow } from '../../inference/served-record.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import type { Log, LogRecord } from '../../stores/log/log.ts'
import { deadTopic, keyedTopic, sourceTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'
import { payloadOf, readDeadLetters, readStoredLetters } from '../dead-letters/dead-letters.ts'
import type { DeadLetter, StoredLetter } from '../dead-letters/dead-letters.ts'
import { LetterOutcomes } from '../dead-letters/dead-letter-outcomes.ts'
import { decodeEvents } from '../ingest/decode-events.ts'
import { isLines, recordBytes } from '../ingest/event-decoder.ts'
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

/** Makes the changes that `changesOf` finds among the records of a partition, a fetch at a time; returns how many records were changed. */
async function rewriteRecords(
  log: Log,
  topic: string,
  partition: number,
  changesOf: (records: readonly LogRecord[]) => readonly Change[] | Promise<readonly Change[]>,
): Promise<number> {
  if ((await log.topic(topic)) === null) return 0
  let rewritten = 0
  for (let next = await log.startOffset(topic, partition); ;) {
    const records = await log.read(topic, partition, next, FETCH_BYTES)
    if (records.length === 0) return rewritten
    next = records[records.length - 1].offset + 1
    const changes = await changesOf(records)
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
    await rewriteRecords(log, keyedTopic(keyedLog.name), partition, (records) =>
      records.flatMap((record) => {
        const block = readBlock(record, keyedLog.source.fields, `${keyedLog.name}/${partition}`)
        const removed = key.rowsOf(keyedLog.source, block.columns, block.length)
        const count = removed.reduce((sum, one) => sum + one, 0)
        events += count
        return count === 0 ? [] : [{ offset: record.offset, value: thinBlock(block, removed) }]
      }),
    )
  return events
}

/** Empties the key's lines in a source topic: a line's number is part of its event's sequence, and a blank line, or a record without bytes, is no event. */
export async function thinSourceTopic(context: StreamContext, key: ForgottenKey, source: SourcePlan): Promise<number> {
  let lines = 0
  await rewriteRecords(context.log, sourceTopic(context, source), 0, async (records) => {
    const changes = isLines(source)
      ? await thinnedLines(context, key, source, records)
      : await thinnedRecords(context, key, source, records)
    lines += changes.reduce((sum, { gone }) => sum + gone, 0)
    return changes
  })
  return lines
}

type Thinned = Change & { /** Events. */ readonly gone: number }

async function thinnedLines(
  context: StreamContext,
  key: ForgottenKey,
  source: SourcePlan,
  records: readonly LogRecord[],
): Promise<Thinned[]> {
  const changes: Thinned[] = []
  for (const { offset, value } of records) {
    const before = splitLines(value)
    const about = await linesAbout(context, key, source, before)
    const gone = about.reduce((sum, one) => sum + one, 0)
    const kept = before.map((line, i) => (about[i] === 1 ? '' : line))
    if (gone > 0) changes.push({ offset, value: joinLines(kept), gone })
  }
  return changes
}

async function thinnedRecords(
  context: StreamContext,
  key: ForgottenKey,
  source: SourcePlan,
  records: readonly LogRecord[],
): Promise<Thinned[]> {
  const values = records.map((record) => recordBytes(source, record))
  const about = await linesAbout(context, key, source, values)
  return records.flatMap(({ offset }, i) => (about[i] === 1 ? [{ offset, value: new Uint8Array(0), gone: 1 }] : []))
}

/** 1 for each line that is an event about the key, or no event and yet speaks of it. */
async function linesAbout(
  { schemas }: StreamContext,
  key: ForgottenKey,
  source: SourcePlan,
  lines: readonly EventLine[],
): Promise<Uint8Array> {
  const about = new Uint8Array(lines.length)
  const decoded = await decodeEvents({ source, entities: [] }, lines, schemas)
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
  const about = async <L extends DeadLetter>(letters: readonly L[]): Promise<L[]> => {
    const lines = await linesAbout(context, key, source, letters.map(payloadOf))
    return letters.filter(({ reason }, i) => lines[i] === 1 || key.isInText(reason))
  }
  const outcomes = await LetterOutcomes.read(log, sourceLogName(source))
  const open: { offset: number; code: string }[] = []
  for await (const { letters } of readDeadLetters(log, sourceLogName(source)))
    open.push(...(await about(letters)).filter(({ offset }) => outcomes.of(offset) === null))
  await outcomes.append(log, 'dropped', open)
  let emptied = 0
  for await (const { letters } of readStoredLetters(log, sourceLogName(source))) {
    const found = await about(letters)
    if (found.length > 0) await log.rewrite(deadTopic(sourceLogName(source)), 0, found.flatMap(emptyLetter))
    emptied += found.length
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
