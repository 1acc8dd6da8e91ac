import { describeCount, describeMs } from './describe-amounts.ts'
import { paint } from './style.ts'

const REDRAW_MS = 100
const BAR_CELLS = 24
/** The rate is over about this much time, so that it follows changes without jumping. */
const RATE_MS = 3000

export interface Progress {
  /** So many units of so many are done; total null: not known. */
  update(done: number, total?: number | null): void
  /** Clears the line. */
  end(): void
}

/** A progress line on a terminal: bar, count, rate and time left. Writes nothing elsewhere, nor with --json. */
export function createProgress(label: string, unit: string, json: boolean): Progress {
  const { stderr } = process
  if (json || !stderr.isTTY) return { update: () => {}, end: () => {} }
  const rate = new Rate()
  let drawnAt = -Infinity
  return {
    update: (done, total = null) => {
      const now = performance.now()
      rate.add(now, done)
      if (now - drawnAt < REDRAW_MS) return
      drawnAt = now
      const text = describeProgress(label, unit, { done, total, perSecond: rate.perSecond() })
      stderr.write(`\r\u001b[2K${text.slice(0, Math.max(20, stderr.columns + colourLength(text) - 1))}`)
    },
    end: () => {
      if (drawnAt > 0) stderr.write('\r\u001b[2K')
    },
  }
}

function describeProgress(
  label: string,
  unit: string,
  { done, total, perSecond }: { done: number; total: number | null; perSecond: number },
): string {
  const speed = `${describeCount(done)} ${unit}  ${describeCount(perSecond)} ${unit}/s`
  if (total === null || total <= 0) return `${label}  ${speed}`
  const part = Math.min(1, done / total)
  const filled = Math.round(part * BAR_CELLS)
  const bar = paint('cyan', '█'.repeat(filled), process.stderr) + '░'.repeat(BAR_CELLS - filled)
  const left = perSecond > 0 ? `  ${describeMs((1000 * Math.max(0, total - done)) / perSecond)} left` : ''
  return `${label}  ${bar}  ${Math.floor(100 * part)} %  ${speed}${left}`
}

function colourLength(text: string): number {
  // eslint-disable-next-line no-control-regex -- colour is made of control characters
  return text.length - text.replaceAll(/\u001b\[\d+m/g, '').length
}

/** Units a second over the last few seconds. */
class Rate {
  readonly #points: { at: number; done: number }[] = []

  add(at: number, done: number): void {
    this.#points.push({ at, done })
    while (this.#points.length > 2 && at - this.#points[1].at > RATE_MS) this.#points.shift()
  }

  perSecond(): number {
    const first = this.#points[0]
    const last = this.#points.at(-1) ?? first
    return last.at > first.at ? (1000 * (last.done - first.done)) / (last.at - first.at) : 0
  }
}
