import type { ViewKernel } from '../../features/kernel/view-kernel.ts'
import { storedNewestTau } from '../../features/kernel/state-encoding.ts'
import type { OnlineStore } from '../../stores/online/online-store.ts'

/** Keys outlive the time from which they read MISSING by this: no clock of a reader lags so far behind the sweep's. */
const MARGIN_MS = 24 * 3_600_000

/** States of one view in one bucket. */
export interface SweptKeys {
  readonly bucket: number
  readonly view: number
  /** Those that read MISSING at every time from now on. */
  readonly expired: readonly Uint8Array[]
}

/**
 * Looks through a partition's states, round after round, for entities without an event for longer than any window or ttl of the view reaches, and a day. A view with
 * lifetime values has none.
 */
export class KeySweep {
  readonly #online: OnlineStore
  readonly #keyedLog: string
  /** (bucket, view) in the order of a round. */
  readonly #places: readonly { readonly bucket: number; readonly view: number; readonly kernel: ViewKernel }[]
  #at = 0
  #after: Uint8Array | null = null

  constructor(online: OnlineStore, keyedLog: string, buckets: readonly number[], kernels: readonly ViewKernel[]) {
    this.#online = online
    this.#keyedLog = keyedLog
    this.#places = buckets.flatMap((bucket) =>
      kernels.flatMap((kernel, view) => (Number.isFinite(kernel.retentionMs) ? [{ bucket, view, kernel }] : [])),
    )
  }

  /** Looks at up to `keysMax` states of one bucket. null: the round is over, the next call begins a new one. */
  async next(now: number, keysMax: number): Promise<SweptKeys | null> {
    if (this.#at === this.#places.length) {
      this.#at = 0
      return null
    }
    const { bucket, view, kernel } = this.#places[this.#at]
    const before = now - kernel.retentionMs - MARGIN_MS
    const expired: Uint8Array[] = []
    let seen = 0
    const states = this.#online.scan({ keyedLog: this.#keyedLog, bucket }, kernel.view.version, this.#after)
    for await (const { key, state } of states) {
      if (storedNewestTau(state.open) < before) expired.push(key)
      this.#after = key
      if (++seen === keysMax) return { bucket, view, expired }
    }
    this.#at++
    this.#after = null
    return { bucket, view, expired }
  }
}
