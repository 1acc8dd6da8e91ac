import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { Registry } from '../../registry/registry.ts'
import type { MetadataStore } from '../../stores/metadata/metadata-store.ts'
import { temporaryProject } from '../support/project.ts'

export interface MetadataFixture {
  /** A handle on the same store, empty at first; every call gives a new one, as another process would have. Closed by the fixture. */
  readonly open: () => Promise<MetadataStore>
}

const DEFINITIONS = (
  limit: number,
): string => `import { count, entity, featureService, featureView, stream, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const payments = stream('payments', { schema: { card_id: t.string(), amount: t.float64(), at: t.timestamp() }, eventTime: 'at' })
export const spend = featureView('spend', { entity: card, from: payments, where: (e) => e.amount > ${limit}, features: { n: count().over('1h') }, owner: 'ü@example.com' })
export const fraud = featureService('fraud', { features: [spend.all()] })
`

/** What every metadata adapter must do. */
export function metadataContract(
  name: string,
  fixture: (context: TestContext) => Promise<MetadataFixture>,
  skip: string | false = false,
): void {
  test(
    `${name}: checkpoints are what was written last, listed by key in the order of their bytes`,
    { skip },
    async (context) => {
      const { open } = await fixture(context)
      const store = await open()
      assert.equal(await store.readProgress('a', 'x'), null)
      const value = { n: Number.MAX_SAFE_INTEGER, text: 'ü\u0001"', list: [null, 0.1], nested: { t: true } }
      for (const key of ['b', 'B', '_', 'ä', 'a']) await store.writeProgress('a', key, key)
      await store.writeProgress('a', 'b', value)
      await store.writeProgress('other', 'b', 1)
      const other = await open()
      assert.deepEqual(await other.readProgress('a', 'b'), value)
      assert.deepEqual([...(await other.listProgress('a')).keys()], ['B', '_', 'a', 'b', 'ä'])
      assert.deepEqual(await other.listProgress('nothing'), new Map())
    },
  )

  test(`${name}: transactions follow one another, all or nothing`, { skip }, async (context) => {
    const { open } = await fixture(context)
    await incrementAtOnce([await open()])
    assert.equal(await (await open()).readProgress('count', 'n'), 24)
  })

  test(
    `${name}: a lease has one holder, until it is let go of or has ended by the database's clock`,
    { skip },
    async (context) => {
      const { open } = await fixture(context)
      const [a, b] = [(await open()).leases, (await open()).leases]
      const ms = 60_000
      const taken = await Promise.all(
        Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? a : b).hold('s', ['x'], `h${i}`, { ms, data: String(i) })),
      )
      assert.equal(taken.flat().length, 1, 'one of those that ask at once')
      const holder = `h${taken.findIndex((names) => names.length > 0)}`
      assert.deepEqual(await b.hold('s', ['x'], holder, { ms }), ['x'], 'renewed')
      assert.deepEqual(await b.hold('s', ['x'], 'other', { ms }), [])
      assert.deepEqual(await b.hold('t', ['x'], 'other', { ms }), ['x'], 'of another scope')
      const [lease] = await a.list('s')
      assert.deepEqual([lease.name, lease.holder, lease.data], ['x', holder, ''])
      assert.ok(lease.leftMs > ms - 30_000 && lease.leftMs <= ms, String(lease.leftMs))
      await b.release('s', 'x', 'other')
      assert.equal((await a.list('s')).length, 1, 'another lets go of nothing')
      await b.release('s', 'x', holder)
      assert.deepEqual(await a.hold('s', ['x'], 'short', { ms: 0, data: 'short' }), ['x'])
      assert.ok((await b.list('s'))[0].leftMs <= 0)
      assert.equal(await a.renew('short', ms), 1, 'renewed after its end, as nobody took it')
      assert.deepEqual(await b.hold('s', ['x'], 'next', { ms }), [])
      assert.equal(await a.renew('short', 0), 1)
      assert.deepEqual(await b.hold('s', ['x'], 'next', { ms }), ['x'], 'taken after its end')
      assert.equal(await a.renew('short', ms), 0)
      assert.deepEqual(await b.hold('s', ['y', 'x'], 'next', { ms: -5000 }), ['x', 'y'])
      assert.deepEqual(await a.hold('s', ['x'], 'next', { ms }), ['x'])
      await a.sweep('s', 10_000)
      assert.deepEqual(
        (await a.list('s')).map((one) => one.name),
        ['x', 'y'],
      )
      await a.sweep('s', 1000)
      assert.deepEqual(
        (await a.list('s')).map((one) => one.name),
        ['x'],
      )
      await b.releaseAll('next')
      assert.deepEqual(await a.list('s'), [])
    },
  )

  test(
    `${name}: a registry registers, reads and moves names; another process reads the same`,
    { skip },
    async (context) => {
      const { open } = await fixture(context)
      const registry = new Registry(await open())
      const at = 1_764_000_000_000
      const first = await registry.apply(temporaryProject(context, { 'features/a.ts': DEFINITIONS(1) }), at)
      assert.deepEqual(
        first.changes.map(({ kind, name: of }) => `${kind} ${of}`),
        ['source payments', 'entity card', 'view spend', 'service fraud'],
      )
      const second = await registry.apply(temporaryProject(context, { 'features/a.ts': DEFINITIONS(2) }), at + 1)
      const moved = second.changes.find(({ kind }) => kind === 'service')
      assert.equal(moved?.from, first.changes.find(({ kind }) => kind === 'service')?.to)
      const elsewhere = new Registry(await open())
      const [alias] = await elsewhere.serviceAliases()
      assert.equal(alias.registered, moved?.to)
      await elsewhere.moveServingAlias('fraud', moved?.to ?? '', at + 2)
      assert.equal((await registry.service('fraud')).version, moved?.to)
      const view = second.changes.find(({ kind }) => kind === 'view')?.to ?? ''
      assert.equal((await elsewhere.view(view)).plan.features[0].name, 'n')
    },
  )
}

/** Counts to 24 in transactions that are begun all at once over the handles; six more are rolled back. */
export async function incrementAtOnce(handles: readonly MetadataStore[]): Promise<void> {
  await handles[0].writeProgress('count', 'n', 0)
  const increment = (store: MetadataStore, fails: boolean): Promise<void> =>
    store.db.transaction().execute(async (db) => {
      const { value } = await db.selectFrom('progress').select('value').where('key', '=', 'n').executeTakeFirstOrThrow()
      await db
        .updateTable('progress')
        .set({ value: String(Number(value) + 1) })
        .where('key', '=', 'n')
        .execute()
      if (fails) throw new Error('rolled back')
    })
  const outcomes = await Promise.allSettled(
    Array.from({ length: 30 }, (_, i) => increment(handles[i % handles.length], i % 5 === 4)),
  )
  assert.equal(outcomes.filter(({ status }) => status === 'rejected').length, 6)
}
