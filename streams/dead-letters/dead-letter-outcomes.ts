import type { AppendResult, Log, TopicAppend } from '../../stores/log/log.ts'
import type { LastSent } from '../ingest/keyed-append.ts'
import { deadTopic } from '../stream-context.ts'

/** What became of a letter that is no longer pending. `filled`: a keyed log that was made later has it, with its own origin and arrival. */
export type LetterOutcome = 'replayed' | 'dropped' | 'moved' | 'filled'

type CountsByCode = Readonly<Record<string, number>>

/*
 * The outcomes log of a source (`dead.<source>.outcomes`), one JSON record per batch of a replay or a drop. It is appended in one change with what it
 * tells of (blocks, moved letters), and only if no other outcome came in between: so the outcomes are exact whatever is killed, or run twice at once.
 */
export interface OutcomeRecord {
  readonly outcome: LetterOutcome
  /** Offsets of the letters, ascending. */
  readonly offsets: readonly number[]
  /** Greatest offset ever replayed: the dead-letter log is an origin like others, whose sequences only grow. −1: none. */
  readonly highest: number
  readonly lastSent: LastSent
  /** Since the beginning, this record included: letters by outcome and code. */
  readonly totals: Readonly<Record<LetterOutcome, CountsByCode>>
}

const OUTCOMES: readonly LetterOutcome[] = ['replayed', 'dropped', 'moved', 'filled']
const NOTHING: OutcomeRecord = {
  outcome: 'dropped',
  offsets: [],
  highest: -1,
  lastSent: {},
  totals: { replayed: {}, dropped: {}, moved: {}, filled: {} },
}
const FETCH_BYTES = 1 << 20
const encoder = new TextEncoder()
const decoder = new TextDecoder()

export const outcomesTopic = (source: string): string => `${deadTopic(source)}.outcomes`

/** The newest record, which has the totals. */
export async function lastOutcome(log: Log, source: string): Promise<OutcomeRecord> {
  const topic = outcomesTopic(source)
  if ((await log.topic(topic)) === null) return NOTHING
  const records = await log.read(topic, 0, Math.max(0, (await log.endOffset(topic, 0)) - 1), 1)
  return records.length === 0 ? NOTHING : (JSON.parse(decoder.decode(records[0].value)) as OutcomeRecord)
}

/** Outcomes of a source's letters: one byte each in memory. */
export class LetterOutcomes {
  readonly #source: string
  #endOffset = 0
  #last: OutcomeRecord = NOTHING
  /** By letter offset: 0 pending, else 1 + number of the outcome. */
  #outcomes = new Uint8Array(0)

  private constructor(source: string) {
    this.#source = source
  }

  static async read(log: Log, source: string): Promise<LetterOutcomes> {
    const outcomes = new LetterOutcomes(source)
    if ((await log.topic(outcomesTopic(source))) === null) return outcomes
    for (;;) {
      const records = await log.read(outcomesTopic(source), 0, outcomes.#endOffset, FETCH_BYTES)
      if (records.length === 0) return outcomes
      for (const { offset, value } of records)
        outcomes.#add(JSON.parse(decoder.decode(value)) as OutcomeRecord, offset + 1)
    }
  }

  get highest(): number {
    return this.#last.highest
  }

  get lastSent(): LastSent {
    return { ...this.#last.lastSent }
  }

  /** null: pending. */
  of(offset: number): LetterOutcome | null {
    return OUTCOMES[(this.#outcomes[offset] ?? 0) - 1] ?? null
  }

  /** Appends an outcome for letters, in one change with `others`, of which it gives the results. TM_LOG_CONFLICT if another process appended one since. */
  async append(
    log: Log,
    outcome: LetterOutcome,
    letters: readonly { readonly offset: number; readonly code: string }[],
    { others = [], lastSent = this.#last.lastSent }: { others?: readonly TopicAppend[]; lastSent?: LastSent } = {},
  ): Promise<AppendResult[]> {
    if (letters.length === 0) return []
    const offsets = letters.map(({ offset }) => offset)
    const counts: Record<string, number> = { ...this.#last.totals[outcome] }
    for (const { code } of letters) counts[code] = (counts[code] ?? 0) + 1
    const highest = outcome === 'replayed' ? Math.max(this.highest, offsets[offsets.length - 1]) : this.highest
    const record = { outcome, offsets, highest, lastSent, totals: { ...this.#last.totals, [outcome]: counts } }
    const topic = outcomesTopic(this.#source)
    await log.createTopic(topic, { partitions: 1 })
    const value = encoder.encode(JSON.stringify(record))
    const own = { topic, partition: 0, values: [value], ifEnd: this.#endOffset }
    const [{ baseOffset }, ...results] = await log.appendAll([own, ...others])
    this.#add(record, baseOffset + 1)
    return results
  }

  #add(record: OutcomeRecord, endOffset: number): void {
    const needed = (record.offsets.at(-1) ?? -1) + 1
    if (needed > this.#outcomes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#outcomes.length * 2))
      grown.set(this.#outcomes)
      this.#outcomes = grown
    }
    for (const offset of record.offsets) this.#outcomes[offset] = 1 + OUTCOMES.indexOf(record.outcome)
    this.#last = record
    this.#endOffset = endOffset
  }
}
