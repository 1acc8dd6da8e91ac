import { test } from 'node:test'
import { proveKernel } from '../proofs/parity.ts'
import { runSeed } from '../support/random.ts'
import { PAIRS_PER_LOG, proveStack } from '../support/stack-case.ts'

const CASES = Number(process.env.TIDEMARK_PARITY_CASES ?? 1000)
const LOGS = Math.max(2, Math.round(CASES / 1000))

test(`kernel: streamed and swept values equal the oracle, state bytes do not depend on the order, ${CASES} random views and logs`, () => {
  proveKernel({ rounds: CASES, seed: runSeed('kernel parity') })
})

test(
  `product: stored states, served vectors, training sets and verification equal the oracle, ${LOGS} random logs, ${LOGS * PAIRS_PER_LOG} training rows`,
  { timeout: 120_000 * LOGS },
  async () => {
    await proveStack({ rounds: LOGS, seed: runSeed('product parity') })
  },
)
