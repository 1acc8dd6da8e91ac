import { PURE_FUNCTIONS } from '../../features/exact/pure-math.ts'
import { oracleMath } from '../support/oracle-math.ts'
import { Random } from '../support/random.ts'
import type { ProofOptions } from './proof-options.ts'

const HALF_PI = 1.5707963267948966

/** Arguments where a function is defined, spread over magnitudes, with the awkward ones among them. */
export const ARGUMENTS: Readonly<Record<string, (random: Random) => readonly number[]>> = {
  exp: (r) => [signed(r, 700)],
  expm1: (r) => [signed(r, 700)],
  log: (r) => [positive(r)],
  log1p: (r) => [r.pick([positive(r), -r.next()])],
  log2: (r) => [positive(r)],
  log10: (r) => [positive(r)],
  pow: (r) => {
    const x = r.pick([positive(r, 20), 1 + signed(r, 1e-3), 1 + r.below(1000)])
    return [x, r.pick([signed(r, 9), r.below(60) - 30, (r.below(99) - 49) / 4])]
  },
  cbrt: (r) => [r.pick([signed(r, 1e9), r.below(1e6)])],
  hypot: (r) => [signed(r, 1e6), r.pick([signed(r, 1e6), signed(r, 1e-3)])],
  sin: (r) => [r.pick([signed(r, 40), r.below(20) * HALF_PI])],
  cos: (r) => [r.pick([signed(r, 40), r.below(20) * HALF_PI])],
  tan: (r) => [r.pick([signed(r, 40), r.below(20) * HALF_PI])],
  asin: (r) => [unit(r)],
  acos: (r) => [unit(r)],
  atan: (r) => [signed(r, 1e6)],
  atan2: (r) => [signed(r, 1e3), signed(r, 1e3)],
  sinh: (r) => [signed(r, 600)],
  cosh: (r) => [signed(r, 600)],
  tanh: (r) => [signed(r, 25)],
  asinh: (r) => [signed(r, 1e12)],
  acosh: (r) => [1 + Math.abs(signed(r, 1e6))],
  atanh: (r) => [unit(r)],
}

function signed(random: Random, greatest: number): number {
  const size = greatest * random.next() * random.pick([1, 0.1, 1e-3, 1e-6, 1e-12])
  return random.pick([1, -1]) * (size === 0 ? 1 : size)
}

function positive(random: Random, digits: number = 290): number {
  return random.pick([1 + signed(random, 0.01), (1 + random.next()) * Number(`1e${random.below(2 * digits) - digits}`)])
}

function unit(random: Random): number {
  const near = 1 - random.next() * random.pick([1, 1e-3, 1e-9, 1e-15])
  return random.pick([1, -1]) * random.pick([near === 1 ? 0.5 : near, signed(random, 0.99)])
}

/** Every function is the double nearest to the true value: `rounds` arguments each. */
export function prove({ rounds = 5_000, seed }: ProofOptions): Promise<void> {
  for (const name of Object.keys(PURE_FUNCTIONS)) proveFunction(name, { rounds, seed })
  return Promise.resolve()
}

export function proveFunction(name: string, { rounds = 5_000, seed }: ProofOptions): void {
  for (let i = 0; i < rounds; i++) {
    const [x, y] = ARGUMENTS[name](new Random(seed + i))
    if (name === 'pow' && isExact(x, y)) continue
    const expected = oracleMath(name, x, y)
    if (Math.abs(expected) < 1e-290 || !Number.isFinite(expected)) continue
    const found = y === undefined ? PURE_FUNCTIONS[name](x) : PURE_FUNCTIONS[name](x, y)
    if (!Object.is(found, expected))
      throw new Error(`${name}(${x}, ${y}) is ${expected}, found ${found}: case ${i} of seed ${seed}`)
  }
}

/** Powers of few bits may lie on a boundary, where the oracle has nothing to say; they are judged below. */
function isExact(x: number, y: number): boolean {
  return Number.isInteger(x) && Number.isInteger(4 * y)
}
