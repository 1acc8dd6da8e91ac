import { test } from 'node:test'
import { prove } from '../proofs/live-set.ts'
import { runSeed } from '../support/random.ts'

const CASES = Number(process.env.TIDEMARK_LIVE_SET_CASES ?? 5)

test(`views come and go under live traffic, two owners and kills: every vector equals the oracle, ${CASES} random runs`, async () => {
  await prove({ rounds: CASES, seed: runSeed('live set') })
})
