import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import { openLmdbOnline } from '../../stores/online/lmdb/open.ts'
import { openRedisOnline } from '../../stores/online/redis/open.ts'
import { ApplyRole } from '../../streams/apply/apply-role.ts'
import type { StreamContext } from '../../streams/stream-context.ts'
import { missing } from '../services/installation.ts'
import { startRedisSentinel } from '../services/redis-sentinel.ts'
import { startRedis } from '../services/redis.ts'
import { until } from '../services/until.ts'
import { temporaryFolder } from '../support/folders.ts'
import { allStates } from '../support/all-states.ts'
import { CARD_SPEND } from '../support/card-spend.ts'
import { Platform } from '../support/platform.ts'
import { Random, runSeed } from '../support/random.ts'
import { proveStack } from '../support/stack-case.ts'

const skip = missing('redis')

/** A stream of random events into a Redis to which things happen. */
class Faults {
  readonly #random: Random
  readonly #test: TestContext
  readonly platform: Platform
  #role: ApplyRole

  private constructor(random: Random, context: TestContext, platform: Platform) {
    this.#random = random
    this.#test = context
    this.platform = platform
    this.#role = new ApplyRole(platform.context)
  }

  static async open(random: Random, context: TestContext, url: string): Promise<Faults> {
    const openOnline = (_folder: string, now: () => number) => openRedisOnline({ url, now })
    return new Faults(random, context, await Platform.open(context, CARD_SPEND, { partitions: 4, openOnline }))
  }

  async produce(): Promise<void> {
    const { clock } = this.platform
    clock.ms += this.#random.below(1_200_000)
    const events = Array.from({ length: 1 + this.#random.below(20) }, () => ({
      card_id: `c-${this.#random.below(40)}`,
      amount: this.#random.pick([0.1, 0.2, 1e16, -3]),
      paid_at: clock.ms - this.#random.pick([0, 0, this.#random.below(90_000_000)]),
    }))
    await this.platform.produce('payments', events)
  }

  /** Ingests and applies; a worker that fails is another one from then on, as a process that starts anew. False: it failed. */
  async apply(): Promise<boolean> {
    try {
      await this.platform.ingest()
      while ((await this.#role.runOnce()) > 0);
      return true
    } catch (error) {
      assert.ok(isTidemarkError(error) && error.disposition === 'retry', String(error))
      this.#role = new ApplyRole(this.platform.context)
      return false
    }
  }

  /** States are, byte for byte, those of all events applied once; and what is served verifies. */
  async check(): Promise<void> {
    const { context, clock } = this.platform
    await this.produce()
    while (!(await this.apply()));
    const online = await openLmdbOnline({ path: await temporaryFolder(this.#test), now: () => clock.ms })
    const other: StreamContext = { ...context, online }
    while ((await new ApplyRole(other).runOnce()) > 0);
    const expected = await allStates(other)
    assert.ok(expected.size > 20)
    assert.deepEqual(await allStates(context), expected)
    await online.close()
    clock.ms += 1000
    await this.platform.settle()
    for (let i = 0; i < 10; i++) await this.platform.readOne('fraud', { card_id: `c-${i}` })
    const { mismatches, rows, pending } = await this.platform.verify()
    assert.deepEqual([mismatches, rows, pending], [[], 10, 0])
  }
}

test(
  'parity of the whole product over Redis: random logs, kills, take-overs and new versions',
  { skip },
  async (context) => {
    const { url, node, stop } = await startRedis()
    context.after(stop)
    await proveStack({
      rounds: Number(process.env.TIDEMARK_REDIS_ROUNDS ?? 1),
      seed: runSeed('parity over Redis'),
      async openOnline() {
        await node.command('FLUSHALL')
        return (_folder, now) => openRedisOnline({ url, now })
      },
    })
  },
)

test(
  'Redis emptied, killed and rolled back to an older snapshot: values repair themselves by replay',
  { skip },
  async (context) => {
    const random = new Random(runSeed('Redis faults'))
    const { url, node, folder, stop } = await startRedis()
    context.after(stop)
    const faults = await Faults.open(random, context, url)
    const kept = await temporaryFolder(context)
    const saved = join(folder, 'appendonlydir')
    const happened = { empty: 0, kill: 0, rollBack: 0 }
    for (let step = 0; step < 24; step++) {
      await faults.produce()
      if (step % 4 === 1) cpSync(saved, join(kept, 'appendonlydir'), { recursive: true })
      await faults.apply()
      if (step % 4 !== 3) continue
      const what = (['empty', 'kill', 'rollBack'] as const)[(step >> 2) % 3]
      happened[what]++
      if (what === 'empty') await node.command('FLUSHALL')
      else {
        await node.kill()
        if (what === 'rollBack') {
          rmSync(saved, { recursive: true })
          cpSync(join(kept, 'appendonlydir'), saved, { recursive: true })
        }
        // What comes meanwhile waits in the log.
        await faults.produce()
        assert.equal(await faults.apply(), false)
        await node.start()
      }
    }
    assert.deepEqual(happened, { empty: 2, kill: 2, rollBack: 2 })
    await faults.check()
  },
)

test('an emptied Redis is filled again although no event comes', { skip }, async (context) => {
  const { url, node, stop } = await startRedis()
  context.after(stop)
  const faults = await Faults.open(new Random(runSeed('emptied Redis')), context, url)
  for (let step = 0; step < 3; step++) {
    await faults.produce()
    await faults.apply()
  }
  const expected = await allStates(faults.platform.context)
  assert.ok(expected.size > 0)
  await node.command('FLUSHALL')
  await until(async () => {
    await faults.apply()
    return (await allStates(faults.platform.context)).size === expected.size
  })
  assert.deepEqual(await allStates(faults.platform.context), expected)
})

test(
  'a replica that missed acknowledged writes takes over: nothing is lost, nothing counts twice',
  { skip },
  async (context) => {
    const { primary, replica, sentinels, primaryName, primaryPort, stop } = await startRedisSentinel()
    context.after(stop)
    const hosts = sentinels.map(({ host, port }) => `${host}:${port}`).join(',')
    const faults = await Faults.open(
      new Random(runSeed('failover')),
      context,
      `redis-sentinel://${hosts}/${primaryName}`,
    )
    for (let step = 0; step < 4; step++) {
      await faults.produce()
      assert.ok(await faults.apply())
    }
    await replica.pause()
    for (let step = 0; step < 4; step++) {
      await faults.produce()
      assert.ok(await faults.apply())
    }
    await primary.kill()
    replica.resume()
    await faults.produce()
    await until(async () => (await primaryPort()) === replica.port && (await faults.apply()))
    await faults.check()
  },
)
