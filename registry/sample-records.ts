import type { Value, ValueType } from '../features/plan/field-type.ts'

export interface SampleField {
  readonly name: string
  readonly type: ValueType
  readonly nullable: boolean
}

const SAMPLES = 24
const NUMBERS = [0, 1, -1, 0.5, 2, 10, 1e6, -3.25]
const TEXTS = ['', 'a', 'b', 'c-1', 'Zürich', '42']
/** 2025-11-24, and either side. */
const TIMES = [1_763_942_400_000, 0, 1_763_942_400_001, 1_700_000_000_000]

/** Made-up frozen records of the given fields, the same ones each time: ordinary values of every field in changing company, nulls among them. */
export function sampleRecords(fields: readonly SampleField[]): object[] {
  return Array.from({ length: SAMPLES }, (_, i) =>
    Object.freeze(
      Object.fromEntries(
        fields.map(({ name, type, nullable }, f) => {
          const at = i * (2 * f + 1) + f
          return [name, nullable && at % 5 === 4 ? null : sample(type, at)]
        }),
      ),
    ),
  )
}

function sample(type: ValueType, at: number): Value {
  switch (type.kind) {
    case 'bool':
      return at % 2 === 0
    case 'int32':
      return Math.trunc(NUMBERS[at % NUMBERS.length])
    case 'count':
      return at % 7
    case 'int64':
      return BigInt(Math.trunc(NUMBERS[at % NUMBERS.length]))
    case 'float32':
    case 'float64':
      return NUMBERS[at % NUMBERS.length]
    case 'string':
      return TEXTS[at % TEXTS.length]
    case 'enum':
      return type.values[at % type.values.length]
    case 'bytes':
      return Uint8Array.of(at % 256)
    case 'timestamp':
      return TIMES[at % TIMES.length]
    case 'vector':
      return Float32Array.from({ length: type.length }, (_, i) => NUMBERS[(at + i) % NUMBERS.length])
    case 'list':
      return Array.from({ length: at % 3 }, (_, i) => sample(type.of, at + i))
    case 'map':
      return new Map(Array.from({ length: at % 3 }, (_, i) => [sample(type.key, at + i), sample(type.value, at + i)]))
  }
}
