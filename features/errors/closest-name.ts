const EDITS_MAX = 3

/**
 * `; did you mean "x"?` for the known name closest to a misspelt one, by Levenshtein distance of at most a third of its length (3 at most), case ignored;
 * else ''. Of equally close ones the first.
 */
export function didYouMean(given: string, known: Iterable<string>): string {
  const name = closestName(given, known)
  return name === null ? '' : `; did you mean ${JSON.stringify(name)}?`
}

/** What is known where `given` is not, as the end of a sentence. */
export function describeKnown(given: string, known: readonly string[]): string {
  return known.length === 0
    ? 'none is yet; run `tidemark apply`'
    : `known are ${known.join(', ')}${didYouMean(given, known)}`
}

export function closestName(given: string, known: Iterable<string>): string | null {
  const wanted = given.toLowerCase()
  let closest: string | null = null
  let least = Math.min(EDITS_MAX, Math.ceil(wanted.length / 3)) + 1
  for (const name of known) {
    if (Math.abs(name.length - wanted.length) >= least) continue
    const edits = editDistance(wanted, name.toLowerCase())
    if (edits < least) {
      least = edits
      closest = name
    }
  }
  return closest
}

/** Levenshtein: the least number of characters to insert, delete or replace; neighbours swapped count once (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) row[j] = Math.min(row[j], before[j - 2] + 1)
    }
    before = last
    last = row
  }
  return last[b.length]
}
