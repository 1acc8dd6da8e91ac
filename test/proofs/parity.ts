import assert from 'node:assert/strict'
import { Random } from '../support/random.ts'
import { checkKernelCase, kernelCase, shrunk } from '../support/kernel-case.ts'
import { kills, proveStack } from '../support/stack-case.ts'
import type { ProofOptions } from './proof-options.ts'

/** Of the rounds of `prove parity`, one in so many also goes through the whole product. */
const KERNEL_PER_STACK = 1000

/**
 * Random views over random event logs with ties, late, future, duplicate and null events. In memory: streamed in any order, batches and restarts,
 * and swept, against the oracle. Through the product: see `stack-case.ts`.
 */
export async function prove({ rounds = 100_000, seed }: ProofOptions): Promise<void> {
  proveKernel({ rounds, seed })
  await proveStack({ rounds: Math.ceil(rounds / KERNEL_PER_STACK), seed })
  console.log(
    `# kills: ${[...kills]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([hit, count]) => `${hit}: ${count}`)
      .join('; ')}`,
  )
}

/** Streamed values and state bytes, and swept values, equal the oracle. */
export function proveKernel({ rounds = 100_000, seed }: ProofOptions): void {
  for (let i = 0; i < rounds; i++) {
    const made = kernelCase(new Random(seed + i))
    try {
      checkKernelCase(made)
    } catch (error) {
      const least = shrunk(made)
      const replay = `case ${i} of seed ${seed} (alone: npm run -s prove -- parity --rounds 1 --seed ${seed + i})`
      assert.fail(`${replay}\n${least.text}\n${least.failure}\nat first: ${String(error)}`)
    }
  }
}
