import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasErrorCode } from '../support/folders.ts'
import { Platform } from '../support/platform.ts'

/* Values in files that another path would refuse, or take as null: import must do the same with them. */

const NOW = Date.UTC(2024, 5, 1)
const DEFINITIONS = `
import { count, entity, featureService, featureView, latest, stream, t } from 'tidemark'
export const card = entity('card', { k: t.string() })
export const s = stream('s', { schema: { k: t.string(), x: t.float64().nonFinite('null'), y: t.float64().nullable(), e: t.enum('a', 'b').nullable(),
  v: t.vector(2).nullable(), constructor: t.string().nullable(), at: t.timestamp() }, eventTime: 'at' })
export const view = featureView('seen', { entity: card, from: s, features: { n: count().over('lifetime'), x: latest('x') } })
export const svc = featureService('svc', { features: [view.all()] })
`
const row = (values: Readonly<Record<string, unknown>>) => ({
  k: 'k',
  x: 1,
  y: null,
  e: null,
  v: null,
  constructor: null,
  at: NOW,
  ...values,
})

test('import: a value outside an enum is refused, as in a live event', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: NOW })
  const result = await platform.import('s', [row({ e: 'a' }), row({ e: 'zzz' }), row({})])
  assert.deepEqual(result, { accepted: 2, refused: 1, codes: { TM_EVENT_TYPE: 1 } })
})

test('import: NaN and infinity are null where the field says so, and refused elsewhere', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: NOW })
  const path = platform.file(
    '.csv',
    `k,x,y,e,v,constructor,at\nk,nan,1,,,,${NOW}\nk,inf,,,,,${NOW}\nk,2,nan,,,,${NOW}\n`,
  )
  const result = await platform.importFile('s', path)
  assert.deepEqual(result, { accepted: 2, refused: 1, codes: { TM_EVENT_NON_FINITE: 1 } })
  await platform.settle()
  platform.clock.ms += 1
  const { cells } = await platform.readOne('svc', { k: 'k' })
  assert.deepEqual([cells.seen__n.value, cells.seen__x], [2, { value: null, status: 'PRESENT' }])
})

test('import: a vector of another length refuses the file and names the row; it is never cut or filled', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: NOW })
  for (const v of [[1], [1, 2, 3], []])
    await assert.rejects(platform.import('s', [row({ v: [7, 8] }), row({ v })]), (error: Error) => {
      assert.match(error.message, /column v .* row 2/)
      return hasErrorCode('TM_COLUMN_TYPE')(error)
    })
  assert.equal((await platform.import('s', [row({ v: [7, 8] })])).accepted, 1)
})

test('a field named like a property of every object is absent where the event lacks it', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: NOW })
  assert.deepEqual(await platform.produce('s', [{ k: 'k', x: 1, at: NOW }]), { accepted: 1, refused: 0, codes: {} })
})

test('a spine in nanoseconds is refused with a code that says so', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: NOW })
  await assert.rejects(
    platform.export('svc', [{ k: 'k', timestamp: 1717200000000000000 }]),
    (error: Error) => hasErrorCode('TM_SPINE_TOO_LATE')(error) && /nanoseconds/.test(error.message),
  )
})
