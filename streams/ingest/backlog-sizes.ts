import type { Log } from '../../stores/log/log.ts'

const FETCH_BYTES = 4 << 20
/** Records are told apart no finer than this share of what is asked about: so that many small ones take little memory. */
const GRAIN = 256

interface Run {
  /** The offset after its last record. */
  readonly end: number
  readonly bytes: number
}

/** How many bytes of a partition lie behind an offset, as far as that is asked: up to `bytesMax`. Each record is read once. */
export class BacklogSizes {
  readonly #log: Log
  readonly #topic: string
  readonly #partition: number
  readonly #bytesMax: number
  #start = 0
  #end = 0
  #runs: Run[] = []

  constructor(log: Log, place: { readonly topic: string; readonly partition: number }, bytesMax: number) {
    this.#log = log
    this.#topic = place.topic
    this.#partition = place.partition
    this.#bytesMax = bytesMax
  }

  /** Bytes of the records from offset `from` on; where they are more than `bytesMax`, how many of them were counted. */
  async behind(from: number): Promise<number> {
    if (from < this.#start || from > this.#end) {
      this.#start = this.#end = from
      this.#runs = []
    }
    while (this.#runs.length > 0 && this.#runs[0].end <= from) this.#runs.shift()
    this.#start = from
    let bytes = this.#runs.reduce((sum, run) => sum + run.bytes, 0)
    while (bytes <= this.#bytesMax) {
      const records = await this.#log.read(this.#topic, this.#partition, this.#end, FETCH_BYTES)
      if (records.length === 0) break
      for (const { offset, value } of records) {
        this.#add({ end: offset + 1, bytes: value.length })
        bytes += value.length
      }
    }
    return bytes
  }

  #add({ end, bytes }: Run): void {
    const last = this.#runs.at(-1)
    if (last === undefined || last.bytes * GRAIN >= this.#bytesMax) this.#runs.push({ end, bytes })
    else this.#runs[this.#runs.length - 1] = { end, bytes: last.bytes + bytes }
    this.#end = end
  }
}
