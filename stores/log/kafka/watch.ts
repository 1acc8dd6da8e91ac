import { setTimeout as sleep } from 'node:timers/promises'
import type { LogWatch } from '../log.ts'

const POLL_MS_MIN = 2
const POLL_MS_MAX = 25

/** Notices appends by looking at the ends of all partitions, less often the longer nothing comes. */
export class KafkaLogWatch implements LogWatch {
  readonly #ends: () => Promise<string>
  #marked = ''

  /** `ends`: of all partitions of all topics, in any fixed notation. */
  constructor(ends: () => Promise<string>) {
    this.#ends = ends
  }

  async mark(): Promise<void> {
    this.#marked = await this.#ends()
  }

  async wait(timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    const until = performance.now() + timeoutMs
    for (let pause = POLL_MS_MIN; ; pause = Math.min(2 * pause, POLL_MS_MAX)) {
      if (signal?.aborted === true) return false
      if ((await this.#ends()) !== this.#marked) return true
      const left = until - performance.now()
      if (left <= 0) return false
      await sleep(Math.min(pause, left), undefined, { signal }).catch(() => {})
    }
  }

  close(): void {}
}
