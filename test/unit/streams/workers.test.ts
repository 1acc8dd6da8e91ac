import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { openSqliteMetadata } from '../../../stores/metadata/sqlite/open.ts'
import type { Leases } from '../../../stores/metadata/leases.ts'
import { bucketsOf } from '../../../streams/apply/partition-worker.ts'
import { StreamRole } from '../../../streams/stream-role.ts'
import { readPartOwners, WorkerGroup } from '../../../streams/workers/worker-group.ts'
import { CARD_SPEND } from '../../support/card-spend.ts'
import { temporaryFolder } from '../../support/folders.ts'
import { Platform } from '../../support/platform.ts'

const PARTS = ['log/0', 'log/1', 'log/2', 'log/3']
const LEASE_MS = 60_000

interface Fixture {
  readonly leases: Leases
  readonly clock: { ms: number }
  readonly worker: (id: string, options?: { readonly gone?: readonly string[] }) => WorkerGroup
}

async function fixture(context: TestContext): Promise<Fixture> {
  const store = await openSqliteMetadata(join(await temporaryFolder(context), 'metadata.sqlite'))
  context.after(() => store.close())
  const clock = { ms: 0 }
  return {
    leases: store.leases,
    clock,
    worker: (id, { gone = [] } = {}) =>
      new WorkerGroup({
        leases: store.leases,
        kind: 'stream',
        id,
        about: { host: id, pid: 1, process: null, since: 0 },
        leaseMs: LEASE_MS,
        isGone: ({ host }) => gone.includes(host),
        clock: () => clock.ms,
      }),
  }
}

/** Turns; returns what it let go of. */
async function turn(group: WorkerGroup): Promise<readonly string[]> {
  const left: string[] = []
  await group.beat()
  await group.turn(
    async () => PARTS,
    async (parts) => {
      // Settled while nobody else can have them.
      for (const part of parts) assert.ok(group.owns(part))
      left.push(...parts)
    },
  )
  return left
}

const ofAll = (...groups: readonly WorkerGroup[]): string[] => groups.flatMap(({ held }) => [...held]).sort()

test('a worker that joins waits until others have let go of what is to be its own; only that moves', async (context) => {
  const { worker } = await fixture(context)
  const [a, b] = [worker('a'), worker('b')]
  await turn(a)
  assert.deepEqual(ofAll(a), PARTS)
  await turn(b)
  assert.deepEqual(ofAll(b), [], 'nothing is taken from an owner')
  const left = await turn(a)
  assert.equal(left.length, 2)
  await turn(b)
  assert.deepEqual(ofAll(b), [...left].sort())
  assert.deepEqual(ofAll(a, b), PARTS)
  assert.deepEqual(await turn(a), [], 'nothing moves any more')
  assert.deepEqual(await turn(b), [])
  await b.close()
  await turn(a)
  assert.deepEqual(ofAll(a), PARTS)
})

test('the parts of a worker whose lease has ended are taken, and it learns that, joins anew and gets its share', async (context) => {
  const { worker, clock, leases } = await fixture(context)
  const [a, b] = [worker('a'), worker('b')]
  await turn(b)
  await leases.renew('b', 0)
  await turn(a)
  assert.deepEqual(ofAll(a), PARTS, 'a lease that has ended keeps nobody out')
  assert.deepEqual(ofAll(b), PARTS, 'it does not know yet')
  clock.ms += LEASE_MS
  assert.deepEqual(await turn(b), [], 'there is nothing of its own to settle')
  assert.deepEqual(ofAll(b), [], 'what another has taken is not had back by renewing')
  await turn(a)
  await turn(b)
  assert.deepEqual([a.held.size, b.held.size], [2, 2])
  const owners = await readPartOwners(leases)
  assert.deepEqual(
    owners.map(({ part, about }) => `${part} ${about?.host}`).sort(),
    [...[...a.held].map((part) => `${part} a`), ...[...b.held].map((part) => `${part} b`)].sort(),
  )
})

test('a process that is known to have ended is not waited for', async (context) => {
  const { worker } = await fixture(context)
  await turn(worker('dead'))
  const a = worker('a', { gone: ['dead'] })
  await turn(a)
  assert.deepEqual(ofAll(a), PARTS)
})

test('partitions that do not move go on with the epochs that they have; the others are handed over settled', async (context) => {
  const platform = await Platform.open(context, CARD_SPEND, { partitions: 4 })
  const { metadata, online, log } = platform.context
  const open = (id: string): { group: WorkerGroup; role: StreamRole } => {
    const about = { host: id, pid: 1, process: null, since: 0 }
    const group = new WorkerGroup({ leases: metadata.leases, kind: 'stream', id, about })
    return { group, role: new StreamRole(platform.context, group) }
  }
  const round = async (...workers: readonly { group: WorkerGroup; role: StreamRole }[]): Promise<void> => {
    for (const { group, role } of workers) {
      await group.beat()
      while ((await role.runOnce()) > 0);
    }
  }
  const produce = (): Promise<unknown> =>
    platform.produce(
      'payments',
      Array.from({ length: 40 }, (_, i) => ({ card_id: `c-${i}`, amount: 1, paid_at: platform.clock.ms - 1000 })),
    )
  const markers = async (): Promise<{ epoch: number; nextOffset: number }[]> =>
    Promise.all(
      [0, 1, 2, 3].map(async (partition) => {
        const [marker] = await online.markers('payments.card', bucketsOf(platform.context, partition).slice(0, 1))
        assert.ok(marker !== null)
        return { epoch: marker.epoch, nextOffset: marker.nextOffset }
      }),
    )
  const [a, b] = [open('a'), open('b')]
  await produce()
  await round(a)
  const before = await markers()
  await produce()
  await round(a, b, a, b, a, b)
  const after = await markers()
  const moved = [0, 1, 2, 3].filter((partition) => b.group.owns(`payments.card/${partition}`))
  assert.equal(moved.length, 2)
  for (const partition of [0, 1, 2, 3]) {
    assert.equal(after[partition].epoch - before[partition].epoch, moved.includes(partition) ? 1 : 0, String(partition))
    assert.equal(after[partition].nextOffset, await log.endOffset('keyed.payments.card', partition))
  }
})
