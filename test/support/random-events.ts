import type { Value } from '../../features/plan/field-type.ts'
import type { Random } from './random.ts'

export type EventFields = Readonly<Record<string, Value>>

const AMOUNTS = [
  0,
  0.1,
  0.2,
  1,
  -1,
  1e16,
  -1e16,
  2 ** 53 + 2,
  5e-324,
  -5e-324,
  1.7976931348623157e308,
  -1e308,
  12.57,
  3,
]
const HEATS = [0, 0.1, -0.1, 3.4e38, -3.4e38, 1.401298464324817e-45, 16777216, 1].map(Math.fround)
const BIGS = [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, 12345678901234567n]
const LABELS = ['a', 'b', '', 'ü', 'ab', '\u{1f600}', '\uffee', 'a\u2028b', 'it\'s; "x", \\y', 'null']

/** Values of every field of `random-view.ts`, adversarial ones among them. Times are the caller's. */
export function randomFields(random: Random, times: { readonly at: number; readonly known: number }): EventFields {
  const orNull = <T extends Value>(value: T): T | null => (random.below(6) === 0 ? null : value)
  return {
    key: `k${random.below(4)}`,
    shop: BigInt(random.below(3)),
    amount: orNull(random.below(3) === 0 ? random.next() * 100 : random.pick(AMOUNTS)),
    heat: orNull(random.pick(HEATS)),
    small: orNull(random.pick([0, 1, 2, 3, -5, 2147483647, -2147483648])),
    big: orNull(random.pick(BIGS)),
    label: orNull(random.pick(LABELS)),
    flag: orNull(random.below(2) === 0),
    kind: orNull(random.pick(['x', 'y', 'zz'])),
    raw: orNull(Uint8Array.from({ length: random.below(4) }, () => random.pick([0, 1, 0x2c, 0xff]))),
    seen: orNull(random.pick([0, -1, 1, 8.64e15, -8.64e15, 1_000_000_000_000])),
    vec: orNull(Float32Array.from({ length: 3 }, () => random.pick(HEATS))),
    at: times.at,
    known: times.known,
  }
}

/** The event as a JSON line; bytes as base64, int64 with all its digits. */
export function jsonOf(fields: EventFields): string {
  const parts = Object.entries(fields).map(([name, value]) => `${JSON.stringify(name)}:${jsonValue(value)}`)
  return `{${parts.join(',')}}`
}

function jsonValue(value: Value): string {
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString('base64'))
  if (value instanceof Float32Array) return JSON.stringify(Array.from(value))
  return JSON.stringify(value)
}
