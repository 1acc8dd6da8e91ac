/** What a benchmark reports: the last line that it prints, as JSON. A ratio above 1 means that Tidemark is better. */
export interface BenchResult {
  readonly name: string
  readonly unit: string
  readonly ours: number
  /** The peer's figure; without a peer the goal's, and `peerName` is `goal`. */
  readonly peer: number
  readonly peerName: string
  /** With several parts the worst of theirs (of those beside the peer, where there is one). */
  readonly ratio: number
  readonly goal: number
  /** Of the result, so that a faster wrong answer shows. */
  readonly hash: string
  readonly settings: Readonly<Record<string, string | number | boolean>>
  readonly parts: readonly BenchPart[]
}

export interface BenchPart {
  readonly name: string
  readonly unit: string
  readonly ours: number
  readonly peer: number
  readonly ratio: number
}
