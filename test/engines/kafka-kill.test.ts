import { test } from 'node:test'
import { proveKills } from '../proofs/kafka-kill.ts'
import { missing } from '../services/installation.ts'
import { Random, runSeed } from '../support/random.ts'

const skip = missing('kafka', 'redis')

test(
  'three brokers, events all the time: roles, imports and a broker killed with -9 at random moments; every event counts once',
  { skip, timeout: 300_000 },
  async (context) => proveKills(context, new Random(runSeed('kafka kill')), 4),
)
