const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 }
/** A thousand years: beyond it arithmetic on epoch milliseconds is no use to anybody. */
const LONGEST_MS = 365_250 * UNITS.d

/** `'500ms' '30s' '5m' '1h' '7d'` as ms, or null where it is not a duration. */
export function parseDuration(text: unknown): number | null {
  const match = typeof text === 'string' ? /^([1-9]\d{0,14})(ms|s|m|min|h|d)$/.exec(text) : null
  if (match === null) return null
  const ms = Number(match[1]) * UNITS[match[2]]
  return ms <= LONGEST_MS ? ms : null
}

/** The design's default hop for a window of `lengthMs`. */
export function defaultHopMs(lengthMs: number): number {
  const { min, h, d } = UNITS
  if (lengthMs <= h) return Math.min(min, lengthMs)
  if (lengthMs <= d) return 15 * min
  if (lengthMs <= 7 * d) return h
  return lengthMs <= 30 * d ? 6 * h : d
}
