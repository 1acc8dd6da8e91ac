import { test } from 'node:test'
import { proveOutages } from '../proofs/outages.ts'
import { missing } from '../services/installation.ts'
import { Random, runSeed } from '../support/random.ts'

const skip = missing('redis', 'postgres', 's3')

test(
  'engines that hang or are killed under start: roles wait and say so once, requests are answered or refused with the code, nothing is lost',
  { skip, timeout: 300_000 },
  async (context) => {
    const random = new Random(runSeed('outages'))
    await proveOutages(context, { random, outages: random.shuffle(['redis stopped', 'postgres killed']), seconds: 1 })
  },
)
