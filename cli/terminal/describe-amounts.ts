/** Whole numbers with thin groups: 1,234,567. */
export function describeCount(count: number): string {
  return Math.round(count).toLocaleString('en-US')
}

/** A span of time in its largest fitting unit: 0 s, 1.4 s, 12 min, 3.5 h, 2.0 d. */
export function describeMs(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  if (ms < 3_600_000) return `${(ms / 60_000).toFixed(1)} min`
  if (ms < 86_400_000) return `${(ms / 3_600_000).toFixed(1)} h`
  return `${(ms / 86_400_000).toFixed(1)} d`
}

/** UTC to the second, as in 2001-06-01 18:01:26Z. */
export function describeTime(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').slice(0, 19).concat('Z')
}
