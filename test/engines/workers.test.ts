import { test } from 'node:test'
import { proveWorkers } from '../proofs/workers.ts'
import { isInstalled } from '../services/installation.ts'
import { Random, runSeed } from '../support/random.ts'

const hasEngines = (['redis', 'postgres', 's3'] as const).every(isInstalled)

test(
  'workers join, leave, are killed and stopped past their leases under events: every part has one owner, every event counts once',
  { timeout: 300_000 },
  async (context) => {
    const random = new Random(runSeed('workers'))
    await proveWorkers(context, { random, onEngines: hasEngines && random.below(2) === 0, steps: 8 })
  },
)
