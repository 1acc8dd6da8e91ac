import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FieldPlan, FieldType, Value } from '../../../features/plan/field-type.ts'
import type { EntityPlan } from '../../../features/plan/source-plan.ts'
import { ForgottenKey } from '../../../streams/forget/forgotten-key.ts'
import { query } from '../../support/platform.ts'

const field = (name: string, kind: Exclude<FieldType['kind'], 'enum' | 'vector'>): FieldPlan => ({
  name,
  type: { kind },
  nullable: false,
  nonFinite: 'reject',
})
const key = (columns: readonly FieldPlan[], ...values: Value[]): ForgottenKey =>
  new ForgottenKey({ kind: 'entity', name: 'e', columns } satisfies EntityPlan, values)

test('a key of any type selects its own archived rows and no other', async () => {
  const rows = `SELECT * FROM (VALUES (1, 1::BIGINT, true, '\\x00\\xFF'::BLOB, 'it''s "1"', 0.1::DOUBLE), (2, 9007199254740993, false, ''::BLOB, '', -2.5), (NULL, NULL, NULL, NULL, NULL, NULL)) t(i, big, b, raw, s, d)`
  const columns = [
    field('i', 'int32'),
    field('big', 'int64'),
    field('b', 'bool'),
    field('raw', 'bytes'),
    field('s', 'string'),
    field('d', 'float64'),
  ]
  const counted = async (forgotten: ForgottenKey): Promise<unknown[]> => {
    const sql = `SELECT count_if(${forgotten.sql()})::INTEGER AS own, count_if((${forgotten.sql()}) IS NOT TRUE)::INTEGER AS others FROM (${rows})`
    return Object.values((await query(sql))[0])
  }
  assert.deepEqual(await counted(key(columns, 1, 1n, true, Uint8Array.of(0, 255), 'it\'s "1"', 0.1)), [1, 2])
  assert.deepEqual(await counted(key(columns, 2, 2n ** 53n + 1n, false, new Uint8Array(0), '', -2.5)), [1, 2])
  assert.deepEqual(await counted(key(columns, 2, 2n ** 53n, false, new Uint8Array(0), '', -2.5)), [0, 3])
  for (const [column, value, own] of [
    [columns[0], 2, 1],
    [columns[1], 2n ** 53n + 1n, 1],
    [columns[2], true, 1],
    [columns[4], 'it\'s "1"', 1],
    [columns[4], "'; DROP TABLE t; --", 0],
  ] as const)
    assert.deepEqual(await counted(key([column], value)), [own, 3 - own])
})

test('what is no event is about a key if its key columns say so, or all of the key stands in it as words', () => {
  const card = key([field('card_id', 'string')], 'c-1')
  const route = key([field('from', 'string'), field('n', 'int32')], 'SEA', 7)
  for (const [forgotten, text, isAbout] of [
    [card, '{"card_id":"c-1","amount":"much"}', true],
    [card, '{"card_id":"c-12","amount":"much"}', false],
    [card, 'broken {"card_id":"c-1"', true],
    [card, 'broken {"card_id":"c-12"', false],
    [route, '{"from":"SEA","n":7}', true],
    [route, '{"from":"SEA","n":"7"}', true],
    [route, '{"from":"SEA","n":70}', false],
    [route, 'SEA 7', true],
    [route, 'SEA 70', false],
    [key([field('card_id', 'string')], 'long-key'), '{"card_id":"other","note":"of long-key"}', true],
  ] as const)
    assert.equal(forgotten.isInText(text), isAbout, text)
})
