import { test } from 'node:test'
import { prove } from '../proofs/crash.ts'
import { runSeed } from '../support/random.ts'

const ROUNDS = Number(process.env.TIDEMARK_KILL_ROUNDS ?? 3)

test(
  `kill -9 of the process tree under producers, imports, exports and apply, ${ROUNDS} rounds: nothing lost, nothing twice, features as the oracle says`,
  { timeout: 60_000 + ROUNDS * 120_000 },
  async () => {
    await prove({ rounds: ROUNDS, seed: runSeed('crash') })
  },
)
