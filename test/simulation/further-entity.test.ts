import { test } from 'node:test'
import { prove } from '../proofs/further-entity.ts'
import { runSeed } from '../support/random.ts'

const CASES = Number(process.env.TIDEMARK_FURTHER_ENTITY_CASES ?? 2)

test(`an entity that comes later has the history of its source, under live traffic and kills: as if from the beginning, ${CASES} random runs`, async () => {
  await prove({ rounds: CASES, seed: runSeed('further entity') })
})
