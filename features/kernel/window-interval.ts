import type { FeaturePlan } from '../plan/view-plan.ts'
import { windowStart } from './track-cells.ts'

/** A span of time, epoch ms: from ≤ τ < to. */
export type Interval = readonly [from: number, to: number]

/** The events that a feature's value at t (integer, epoch ms) is made of, as the kernel's tiles have it; null: no window bounds them. */
export function windowInterval({ window }: Pick<FeaturePlan, 'window'>, t: number): Interval | null {
  if (window.kind === 'lifetime') return null
  const { lengthMs, hopMs } = window
  return [windowStart(t, hopMs, lengthMs / hopMs), t]
}
