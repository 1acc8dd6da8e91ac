import type { Accepted } from '../../streams/produce.ts'

/** What import and produce say to people. */
export function describeAccepted({ accepted, refused, codes }: Accepted): string[] {
  const list = Object.entries(codes).map(([code, count]) => `${code} ${count}`)
  return [
    `${accepted} accepted, ${refused} refused${list.length === 0 ? '' : ` (${list.join(', ')}); see tidemark dead-letters list`}`,
  ]
}
