import { randomUUID } from 'node:crypto'
import { ByteReader } from '../../../features/values/byte-reader.ts'
import { ByteWriter } from '../../../features/values/byte-writer.ts'
import { failStore } from '../../errors.ts'
import { openEnvironment } from '../../lmdb-environment.ts'
import type { BinaryDatabase } from '../../lmdb-environment.ts'
import type {
  AppendResult,
  Log,
  LogCheckpoint,
  LogCheckpoints,
  LogRecord,
  LogWatch,
  Reading,
  TopicAppend,
  TopicInfo,
  TopicOptions,
  TopicPartition,
} from '../log.ts'
import { LmdbLogWatch } from './watch.ts'

/*
 * Keys and values of the environment (integers big-endian, so that key order is offset order):
 *
 *   't' name                                   → varint topic number, varint partitions, string incarnation
 *   'n'                                        → varint next topic number
 *   'e' u32 topic, u32 partition               → varint end offset, f64 last append time
 *   'c'                                        → f64 settled time: no append is stamped earlier
 *   'v'                                        → f64 count of appends, by which who waits for one notices it
 *   'k' name                                   → a checkpoint
 *   'r' u32 topic, u32 partition, u64 offset   → f64 append time, value
 */
const SETTLED_KEY = Buffer.from('c')
const COUNT_KEY = Buffer.from('v')
const TRIMMED_RECORDS = 5000

export interface LmdbLogOptions {
  readonly path: string
  /** Epoch ms; the embedded log's clock. */
  readonly now: () => number
}

export async function openLmdbLog(options: LmdbLogOptions): Promise<Log> {
  return new LmdbLog(openEnvironment(options.path), options)
}

interface Topic extends TopicInfo {
  readonly number: number
}

class LmdbLog implements Log {
  readonly now: () => number
  readonly checkpoints: LogCheckpoints = { read: (name) => this.#checkpoint(name) }
  readonly isRewritable = true
  readonly #db: BinaryDatabase
  readonly #path: string
  #closed = false

  constructor(db: BinaryDatabase, { path, now }: LmdbLogOptions) {
    this.#db = db
    this.#path = path
    this.now = now
  }

  foreignTopic(): null {
    return null
  }

  async createTopic(name: string, options: TopicOptions): Promise<TopicInfo> {
    const topic = this.#db.transactionSync(() => {
      const existing = this.#readTopic(name)
      if (existing !== null) return existing
      const next = this.#db.getBinary(Buffer.from('n'))
      const number = next === undefined ? 1 : new ByteReader(next).varint()
      const made: Topic = { name, number, partitions: options.partitions, incarnation: randomUUID() }
      const writer = new ByteWriter()
      writer.varint(number + 1)
      this.#db.putSync(Buffer.from('n'), Buffer.from(writer.finish()))
      writer.reset()
      writer.varint(number)
      writer.varint(options.partitions)
      writer.string(made.incarnation)
      this.#db.putSync(Buffer.from(`t${name}`), Buffer.from(writer.finish()))
      return made
    })
    if (topic.partitions !== options.partitions) {
      throw failStore(
        'TM_LOG_TOPIC_MISMATCH',
        `topic ${name} has ${topic.partitions} partitions, ${options.partitions} were asked for: keep the number a topic was made with`,
      )
    }
    return describe(topic)
  }

  async topic(name: string): Promise<TopicInfo | null> {
    this.#db.resetReadTxn()
    const topic = this.#readTopic(name)
    return topic === null ? null : describe(topic)
  }

  async listTopics(): Promise<TopicInfo[]> {
    this.#db.resetReadTxn()
    const topics: TopicInfo[] = []
    for (const { key } of this.#db.getRange({ start: Buffer.from('t'), end: Buffer.from('u') })) {
      const topic = this.#readTopic(key.toString('utf8', 1))
      if (topic !== null) topics.push(describe(topic))
    }
    return topics
  }

  async deleteTopic(name: string): Promise<void> {
    this.#db.transactionSync(() => {
      const topic = this.#readTopic(name)
      if (topic === null) return
      this.#db.removeSync(Buffer.from(`t${name}`))
      for (const prefix of ['e', 'r']) {
        const start = Buffer.concat([Buffer.from(prefix), u32(topic.number)])
        const end = Buffer.concat([Buffer.from(prefix), u32(topic.number + 1)])
        for (const key of Array.from(this.#db.getKeys({ start, end }))) this.#db.removeSync(key)
      }
    })
  }

  async append(topic: string, partition: number, values: readonly Uint8Array[]): Promise<AppendResult> {
    return (await this.appendAll([{ topic, partition, values }]))[0]
  }

  async appendAll(appends: readonly TopicAppend[], checkpoint?: LogCheckpoint): Promise<AppendResult[]> {
    const results = this.#db.transactionSync(() => {
      for (const append of appends) this.#checkEnd(append)
      const settled = this.#settled()
      if (checkpoint !== undefined) this.#db.putSync(Buffer.from(`k${checkpoint.name}`), Buffer.from(checkpoint.value))
      if (appends.some(({ values }) => values.length > 0)) this.#db.putSync(COUNT_KEY, doubleBytes(this.#appends() + 1))
      return appends.map((append) => this.#appendOne(append, settled))
    })
    await this.#db.flushed
    return results
  }

  async #checkpoint(name: string): Promise<Uint8Array | null> {
    this.#db.resetReadTxn()
    const value = this.#db.getBinary(Buffer.from(`k${name}`))
    return value === undefined ? null : Uint8Array.from(value)
  }

  /** Writers take turns and are stamped in their turn: inside one, no earlier append is still on its way. */
  async settledTime(): Promise<number> {
    const time = this.#db.transactionSync(() => {
      const settled = Math.max(this.#settled(), Math.floor(this.now()))
      this.#db.putSync(SETTLED_KEY, doubleBytes(settled))
      return settled
    })
    await this.#db.flushed
    return time
  }

  #appends(): number {
    return this.#db.getBinary(COUNT_KEY)?.readDoubleLE(0) ?? 0
  }

  #settled(): number {
    return this.#db.getBinary(SETTLED_KEY)?.readDoubleLE(0) ?? 0
  }

  #checkEnd({ topic, partition, ifEnd }: TopicAppend): void {
    if (ifEnd === undefined) return
    const { offset } = this.#end(this.#required(topic, partition), partition)
    if (offset !== ifEnd)
      throw failStore(
        'TM_LOG_CONFLICT',
        `${topic}, partition ${partition} ends at ${offset}, not ${ifEnd}: another process appended meanwhile; read on and try again`,
      )
  }

  #appendOne(append: TopicAppend, settled: number): AppendResult {
    const topic = this.#required(append.topic, append.partition)
    const end = this.#end(topic, append.partition)
    const appendTime = Math.max(end.appendTime, settled, Math.floor(this.now()))
    append.values.forEach((value, i) => {
      const record = Buffer.allocUnsafe(8 + value.length)
      record.writeDoubleLE(appendTime)
      record.set(value, 8)
      this.#db.putSync(recordKey(topic.number, append.partition, end.offset + i), record)
    })
    const writer = new ByteWriter(32)
    writer.varint(end.offset + append.values.length)
    writer.f64(appendTime)
    this.#db.putSync(endKey(topic.number, append.partition), Buffer.from(writer.finish()))
    return { baseOffset: end.offset, emptyFrom: end.offset, appendTime }
  }

  async rewrite(
    topic: string,
    partition: number,
    changes: readonly { readonly offset: number; readonly value: Uint8Array | null }[],
  ): Promise<void> {
    this.#db.transactionSync(() => {
      const { number } = this.#required(topic, partition)
      for (const { offset, value } of changes) {
        const key = recordKey(number, partition, offset)
        const held = this.#db.getBinary(key)
        if (held === undefined) continue
        if (value === null) this.#db.removeSync(key)
        else this.#db.putSync(key, Buffer.concat([held.subarray(0, 8), value]))
      }
    })
    await this.#db.flushed
  }

  async trim(topic: string, partition: number, before: number): Promise<number> {
    const dropped = this.#db.transactionSync(() => {
      const { number } = this.#required(topic, partition)
      const start = recordKey(number, partition, 0)
      const end = recordKey(number, partition, before)
      const keys = Array.from(this.#db.getKeys({ start, end, limit: TRIMMED_RECORDS }))
      for (const key of keys) this.#db.removeSync(key)
      return keys.length
    })
    await this.#db.flushed
    return dropped
  }

  async read(topic: string, partition: number, fromOffset: number, maxBytes: number): Promise<LogRecord[]> {
    this.#db.resetReadTxn()
    const { number } = this.#required(topic, partition)
    const records: LogRecord[] = []
    let bytes = 0
    const start = recordKey(number, partition, fromOffset)
    const end = Buffer.concat([start.subarray(0, 9), Buffer.alloc(8, 0xff)])
    for (const { key, value } of this.#db.getRange({ start, end })) {
      records.push({
        offset: Number(key.readBigUInt64BE(9)),
        appendTime: value.readDoubleLE(0),
        value: Uint8Array.prototype.slice.call(value, 8),
      })
      bytes += value.length
      if (bytes >= maxBytes) break
    }
    return records
  }

  async readOn({ topic, partition, incarnation }: TopicPartition, from: number, maxBytes: number): Promise<Reading> {
    const records = await this.read(topic, partition, from, maxBytes)
    if (this.#readTopic(topic)?.incarnation !== incarnation)
      throw failStore('TM_LOG_TOPIC_UNKNOWN', `topic ${topic} was made anew: there is no ${incarnation} any more`)
    return { records, nextOffset: records.length === 0 ? from : records[records.length - 1].offset + 1 }
  }

  async endOffsets(places: readonly Omit<TopicPartition, 'incarnation'>[]): Promise<number[]> {
    this.#db.resetReadTxn()
    return places.map(({ topic, partition }) => this.#end(this.#required(topic, partition), partition).offset)
  }

  async endOffset(topic: string, partition: number): Promise<number> {
    this.#db.resetReadTxn()
    const { number } = this.#required(topic, partition)
    return this.#end({ number }, partition).offset
  }

  async startOffset(topic: string, partition: number): Promise<number> {
    this.#db.resetReadTxn()
    const { number } = this.#required(topic, partition)
    const start = recordKey(number, partition, 0)
    const end = Buffer.concat([start.subarray(0, 9), Buffer.alloc(8, 0xff)])
    for (const key of this.#db.getKeys({ start, end, limit: 1 })) return Number(key.readBigUInt64BE(9))
    return this.#end({ number }, partition).offset
  }

  watch(): LogWatch {
    const count = (): number => {
      this.#db.resetReadTxn()
      return this.#appends()
    }
    return new LmdbLogWatch(count, this.#path)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#db.close()
  }

  #end(topic: { number: number }, partition: number): { offset: number; appendTime: number } {
    const bytes = this.#db.getBinary(endKey(topic.number, partition))
    if (bytes === undefined) return { offset: 0, appendTime: 0 }
    const reader = new ByteReader(bytes)
    return { offset: reader.varint(), appendTime: reader.f64() }
  }

  /** Never remembered: another process may have deleted the topic and made it again under another number. */
  #readTopic(name: string): Topic | null {
    const bytes = this.#db.getBinary(Buffer.from(`t${name}`))
    if (bytes === undefined) return null
    const reader = new ByteReader(bytes)
    return { name, number: reader.varint(), partitions: reader.varint(), incarnation: reader.string() }
  }

  #required(name: string, partition: number): Topic {
    const topic = this.#readTopic(name)
    if (topic === null || partition < 0 || partition >= topic.partitions) {
      throw failStore(
        'TM_LOG_TOPIC_UNKNOWN',
        `topic ${name}, partition ${partition} does not exist: run \`tidemark apply\` to create the topics of your sources`,
      )
    }
    return topic
  }
}

function describe(topic: Topic): TopicInfo {
  return { name: topic.name, incarnation: topic.incarnation, partitions: topic.partitions }
}

function doubleBytes(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleLE(value)
  return bytes
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function endKey(topic: number, partition: number): Buffer {
  const key = Buffer.alloc(9)
  key[0] = 0x65
  key.writeUInt32BE(topic, 1)
  key.writeUInt32BE(partition, 5)
  return key
}

function recordKey(topic: number, partition: number, offset: number): Buffer {
  const key = Buffer.alloc(17)
  key[0] = 0x72
  key.writeUInt32BE(topic, 1)
  key.writeUInt32BE(partition, 5)
  key.writeBigUInt64BE(BigInt(offset), 9)
  return key
}
