const FIELDS: readonly (readonly [name: string, least: number, greatest: number])[] = [
  ['minute', 0, 59],
  ['hour', 0, 23],
  ['day of the month', 1, 31],
  ['month', 1, 12],
  ['day of the week', 0, 7],
]

/** Why a text is not a cron expression of five fields (numbers, `*`, ranges, lists, steps; UTC), or null. */
export function cronProblem(expression: unknown): string | null {
  if (typeof expression !== 'string') return `must be a text of five fields, as in '0 3 * * *'`
  const fields = expression.trim().split(/\s+/)
  if (fields.length !== FIELDS.length)
    return `has ${fields.length} fields, a cron expression has five (minute hour day month weekday), as in '0 3 * * *'`
  for (let i = 0; i < fields.length; i++) {
    const [name, least, greatest] = FIELDS[i]
    for (const part of fields[i].split(','))
      if (!isPart(part, least, greatest))
        return `its ${name} ${JSON.stringify(part)} is not within ${least}–${greatest}`
  }
  return null
}

function isPart(part: string, least: number, greatest: number): boolean {
  const match = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(part)
  if (match === null) return false
  const from = match[1] === undefined ? least : Number(match[1])
  const to = match[2] === undefined ? from : Number(match[2])
  return from >= least && to <= greatest && from <= to && match[3] !== '0'
}
