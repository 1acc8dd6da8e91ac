import { test } from 'node:test'
import { prove, proveStateBytes } from '../proofs/parity.ts'
import { runSeed } from '../support/random.ts'

const CASES = Number(process.env.TIDEMARK_PARITY_CASES ?? 1000)

test(`streamed state and export equal the oracle, ${CASES} random logs`, async () => {
  await prove({ rounds: CASES, seed: runSeed('kernel parity') })
})

test('the same set of events gives the same state bytes in any order, any batches and any restarts', () => {
  proveStateBytes({ rounds: 200, seed: runSeed('state bytes') })
})
