import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { isTidemarkError } from '../../../features/errors/tidemark-error.ts'
import { compileProject } from '../../../registry/compile-project.ts'
import { temporaryProject } from '../../support/project.ts'

const HEAD = `import { count, defineConfig, entity, featureService, featureView, last, latest, stream, sum, table, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
const schema = { card_id: t.string(), amount: t.float64(), paid_at: t.timestamp(), known_at: t.timestamp(), late_at: t.timestamp().nullable() }
export const payments = stream('payments', { schema, eventTime: 'paid_at' })
const features = { a: count().over('1h') }
export const ok = featureView('ok', { entity: card, from: payments, features })
`

async function compile(context: TestContext, files: Readonly<Record<string, string>>) {
  const candidates = await compileProject(temporaryProject(context, files))
  return candidates.map(({ kind, name }) => `${kind}:${name}`).sort()
}

const view = (rest: string): string =>
  `export const v = featureView('v', { entity: card, from: payments, features, ${rest} })`
const service = (rest: string): string => `export const s = featureService('s', { features: [ok.all()], ${rest} })`
const source = (rest: string): string => `export const x = stream('x', { schema, eventTime: 'paid_at', ${rest} })`
const tabled = (rest: string): string => `export const x = table('x', { schema, eventTime: 'paid_at', ${rest} })`

/** A line of a definition file that breaks a rule, in plain JavaScript: nobody has checked its types. */
const REFUSED: readonly [line: string, says: RegExp][] = [
  ['export const wrong = entity()', /entity name must be a text like 'card_spend', found undefined/],
  ["export const e = entity('e')", /entity e must have columns, as in .*found undefined/],
  ["export const e = entity('e', {})", /entity e has no columns/],
  ["export const e = entity('e', [])", /entity e must have columns.*found an array/],
  [
    "export const e = entity('e', { id: 'string' })",
    /column id of entity e must have a type, as in t.string\(\), found "string"/,
  ],
  [
    "export const e = entity('e', { id: t.string })",
    /column id of entity e must have a type.*found a function: is \(\) missing/,
  ],
  ["export const e = entity('e', { id: t.vector(2) })", /column id of entity e is a vector/],
  ["export const e = entity('e', { id: t.string().nullable() })", /column id of entity e is nullable/],
  ["export const e = entity('e', { 'i d': t.string() })", /column name "i d" of entity e is not allowed/],
  ['export const wrong = entity(7, { id: t.string() })', /entity name must be a text.*found 7/],
  ["export const e = entity('a__b', { id: t.string() })", /holds __/],
  ["export const x = stream('x')", /stream x must have columns.*found undefined/],
  ["export const x = stream('x', null)", /stream x must have columns/],
  [
    "export const x = stream('x', { schema, eventtime: 'paid_at' })",
    /stream x has no option "eventtime"; it has topic, format, schema, eventTime/,
  ],
  [
    "export const x = stream('x', { schema })",
    /eventTime of stream x must name one of its columns \(card_id, .*found undefined/,
  ],
  [
    "export const x = stream('x', { schema, eventTime: 'amount' })",
    /column amount of stream x must be t.timestamp\(\), not nullable, to be its eventTime/,
  ],
  [
    "export const x = stream('x', { schema, eventTime: 'late_at' })",
    /column late_at of stream x must be t.timestamp\(\), not nullable/,
  ],
  [source("topic: 'a b'"), /topic "a b" of stream x is not allowed/],
  [source('topic: 5'), /topic 5 of stream x is not allowed/],
  [source("format: 'avro'"), /format of stream x must be json\(\), .*found "avro": is \(\) missing/],
  [source("format: { format: 'xml' }"), /format of stream x: expected json\(\)/],
  [
    source("format: { format: 'avro', options: 'payments-value' }"),
    /avro takes an object of options, found "payments-value"/,
  ],
  [
    source("format: { format: 'avro', options: { topic: 'a' } }"),
    /avro has no option "topic"; it has subject, schema, framing/,
  ],
  [
    source("format: { format: 'avro', options: { subject: 5 } }"),
    /subject of avro must be a text like 'payments-value', found 5/,
  ],
  [
    source("format: { format: 'avro', options: { framing: 'none' } }"),
    /records without a frame say nothing of their schema/,
  ],
  [source("format: { format: 'avro', options: { schema: '\"string\"' } }"), /an event is an Avro record/],
  [
    source(
      "format: { format: 'avro', options: { schema: { type: 'record', name: 'P', fields: [{ name: 'a', type: 'int' }] } } }",
    ),
    /its schema P has no field card_id, which is a column: its fields are a/,
  ],
  [
    source("format: { format: 'protobuf', options: { schema: 'syntax = \"proto3\";' } }"),
    /records without a frame say nothing of their schema/,
  ],
  [
    source("format: { format: 'protobuf', options: { message: 5 } }"),
    /message of protobuf must be a name like 'shop.Payment', found 5/,
  ],
  [
    source(
      "format: { format: 'protobuf', options: { schema: 'syntax = \"proto3\"; message P { int32 a = 1; }', message: 'P' } }",
    ),
    /message P has no field card_id, which is a column: its fields are a/,
  ],
  [
    source("format: { format: 'protobuf', options: { schema: 'message', message: 'P' } }"),
    /the Protobuf schema cannot be used/,
  ],
  [source("arrival: 'known_at'"), /stream x has no option "arrival"/],
  [tabled("arrival: 'nowhere'"), /arrival of table x must name one of its columns/],
  [tabled("arrival: 'late_at'"), /column late_at of table x must be t.timestamp\(\), not nullable, to be its arrival/],
  [tabled("schedule: 'daily'"), /the schedule "daily" of table x is no cron expression of five fields/],
  [tabled("schedule: '61 * * * *'"), /the schedule "61 \* \* \* \*" of table x .* minute: 61/],
  [tabled("schedule: '0 0 0 * *'"), /is no cron expression of five fields .* Invalid value for day/],
  [tabled("schedule: '*/0 * * * *'"), /table x is no cron expression/],
  [
    tabled('schedule: 3'),
    /the schedule of table x must be a text like '0 3 \* \* \*', or \{ cron, timeZone, deadline, contents \}/,
  ],
  [tabled('schedule: {}'), /the schedule undefined of table x must be a text of five fields/],
  [
    tabled("schedule: { cron: '0 3 * * *', zone: 'UTC' }"),
    /table x has no option zone: it takes cron, timeZone, deadline, contents/,
  ],
  [
    tabled("schedule: { cron: '0 3 * * *', timeZone: 'Mars' }"),
    /timeZone of table x must be a time zone like 'Europe\/Berlin', found "Mars"/,
  ],
  [
    tabled("schedule: { cron: '0 3 * * *', deadline: 'soon' }"),
    /deadline of table x must be a duration like '30min', found "soon"/,
  ],
  [
    tabled("schedule: { cron: '0 3 * * *', contents: 'all' }"),
    /contents of table x must be 'new-files' or 'snapshot', found "all"/,
  ],
  [tabled("schedule: '0 3 * * *', files: ['s3://b']"), /names no files in S3: expected s3:\/\/bucket\/prefix/],
  [tabled("schedule: '0 0 31 2 *'"), /the schedule "0 0 31 2 \*" of table x never comes/],
  [tabled("files: 'a/*'"), /files of table x says where its schedule finds files: give it a schedule too/],
  [tabled("schedule: '@daily', files: []"), /files of table x must be a glob like/],
  [
    tabled("schedule: '@daily', files: ['a/*', 3]"),
    /files of table x must be a glob like 'data\/prices\/\*.parquet' or 's3:.*, or several, found 3/,
  ],
  [
    "export const x = stream('x', { schema: { a: t.enum(), at: t.timestamp() }, eventTime: 'at' })",
    /column a of stream x: t.enum\(…\) needs at least one value/,
  ],
  [
    "export const x = stream('x', { schema: { a: t.enum('a', 'a'), at: t.timestamp() }, eventTime: 'at' })",
    /names "a" twice/,
  ],
  [
    "export const x = stream('x', { schema: { a: t.enum(['a']), at: t.timestamp() }, eventTime: 'at' })",
    /takes texts, found an array/,
  ],
  [
    "export const x = stream('x', { schema: { a: t.vector(), at: t.timestamp() }, eventTime: 'at' })",
    /t.vector\(n\) needs a length between 1 and 65536, found undefined/,
  ],
  [
    "export const x = stream('x', { schema: { a: t.vector(1.5), at: t.timestamp() }, eventTime: 'at' })",
    /needs a length .*found 1.5/,
  ],
  ["export const v = featureView('v')", /view v: from must be what stream\(…\) or table\(…\) gives, found undefined/],
  [
    "export const v = featureView('v', { entity: payments, from: payments, features })",
    /view v: entity must be what entity\(…\) gives, found a source definition/,
  ],
  [
    "export const v = featureView('v', { entity: card, from: 'payments', features })",
    /view v: from must be what .*found "payments"/,
  ],
  [
    "export const v = featureView('v', { entity: card, from: payments })",
    /view v: features must be an object, found undefined/,
  ],
  ["export const v = featureView('v', { entity: card, from: payments, features: {} })", /view v has no features/],
  [
    "export const v = featureView('v', { entity: card, from: payments, features: () => 3 })",
    /features must be an object, found 3/,
  ],
  [
    "export const v = featureView('v', { entity: card, from: payments, features: { a: count } })",
    /feature a of view v: must be an aggregation with a window.*found a function/,
  ],
  [
    "export const v = featureView('v', { entity: card, from: payments, features: { a: ok } })",
    /found a view definition/,
  ],
  [view('where: true'), /view v: where must be a function of the event, found true/],
  [view("ttl: '30 days'"), /view v: ttl "30 days" is not a duration like '30d'/],
  [view('ttl: 30'), /view v: ttl 30 is not a duration/],
  [view("freshness: '0m'"), /view v: freshness "0m" is not a duration/],
  [view('owner: 5'), /view v: owner must be a text, found 5/],
  [view("tags: ['a']"), /view v: tags must be texts by name.*found an array/],
  [view('tags: { a: 1 }'), /view v: tag "a" must be a text, found 1/],
  [view('description: {}'), /view v: description must be a text, found another object/],
  [view("ownr: 'me'"), /view v has no option "ownr"/],
  [view('expect: 5'), /view v: expect must be an object of rules by feature, found 5/],
  [view('expect: { a: 5 }'), /expect: must be rules, as in .*found 5/],
  [view('expect: { a: { betwen: [0, 1] } }'), /expect has no option "betwen"; it has notNull, between/],
  [view('expect: { a: { between: [0] } }'), /between must be \[least, greatest\], both finite, found \[0\]/],
  [view('expect: { a: { between: [0, NaN] } }'), /between must be/],
  [view("expect: { a: { notNull: 'yes' } }"), /notNull must be true or false, found "yes"/],
  [view('expect: { a: { oneOf: [] } }'), /oneOf must be an array of the allowed values/],
  [view("expect: { a: { oneOf: ['x'] } }"), /a value of oneOf must be a count, found "x"/],
  [view("expect: { a: { matches: 'x' } }"), /matches needs a string, the feature is a count/],
  [view('expect: { a: { nullShare: 1.5 } }'), /nullShare must lie between 0 and 1, found 1.5/],
  [
    "export const s = featureService('s')",
    /service s: features must be an array, as in \[cardSpend.all\(\)\], found undefined/,
  ],
  ["export const s = featureService('s', { features: [ok] })", /features holds the view "ok" itself; write .all\(\)/],
  ["export const s = featureService('s', { features: ['ok'] })", /features holds "ok"/],
  ["export const s = featureService('s', { features: [ok.pick()] })", /\.pick\(\) of view ok picks nothing/],
  ["export const s = featureService('s', { features: [ok.pick('b')] })", /view ok has no feature "b"; it has a/],
  ["export const s = featureService('s', { features: [ok.all(), ok.pick('a')] })", /has ok__a twice/],
  [
    "const hidden = featureView('hidden', { entity: card, from: payments, features })\nexport const s = featureService('s', { features: [hidden.all()] })",
    /reads view "hidden", which no file under features\/ exports/,
  ],
  [service('request: { Hour: t.int32() }'), /request field name "Hour" is not allowed/],
  [service('request: { hour: 5 }'), /column hour of the request of service s must have a type/],
  [service('request: 5'), /the request of service s must have columns/],
  [service('derive: 5'), /service s: derive must be an object of functions, found 5/],
  [service('derive: { a: 5 }'), /derived field a of service s must be a function of the vector/],
  [service("derive: { a: { type: 'string', value: (f) => 'x' } }"), /derived field a of service s must have a type/],
  [service('derive: { a: { type: t.string(), fn: (f) => 1 } }'), /derived field a of service s must be a function/],
  [service('derive: { ok__a: (f) => 1 }'), /derived field name "ok__a" holds __/],
  [service('request: { x: t.int32() }, derive: { x: (f) => 1 }'), /service s has x twice/],
  [service('tag: {}'), /service s has no option "tag"/],
]
for (const [line, says] of REFUSED) {
  test(`refused with file, line and reason: ${line}`, async (context) => {
    await assert.rejects(compile(context, { 'features/a.js': `${HEAD}${line}\n` }), (error: Error) => {
      assert.ok(isTidemarkError(error) && error.code === 'TM_DEFINITION_INVALID', String(error))
      assert.match(error.message, says)
      const at = /features\/a\.js:(\d+): /.exec(error.message)
      const lines = HEAD.split('\n').length
      assert.ok(
        at !== null && Number(at[1]) >= lines && Number(at[1]) <= lines + 1,
        `line ${at?.[1]}: ${error.message}`,
      )
      return true
    })
  })
}

/** Files that cannot be loaded, and what is said of them. */
const UNLOADABLE: readonly [what: string, text: string, says: RegExp][] = [
  ['a syntax error', `${HEAD}export const broken = {\n`, /features\/a\.ts:\d+ cannot be loaded: SyntaxError/],
  ['an enum', `${HEAD}enum E { A }\n`, /features\/a\.ts.* cannot be loaded/],
  ['a throw', `${HEAD}throw new Error('no')\n`, /features\/a\.ts:7 cannot be loaded: Error: no/],
  ['an unknown name', "import { median } from 'tidemark'\n", /features\/a\.ts.* cannot be loaded: SyntaxError.*median/],
  ['an unknown file', "import './nowhere.ts'\n", /features\/a\.ts.* cannot be loaded.*nowhere/],
  [
    'a column of a definition that is none',
    `${HEAD}export const s = featureService('s', { features: [undefined.all()] })\n`,
    /features\/a\.ts:7 cannot be loaded: TypeError/,
  ],
]
for (const [what, text, says] of UNLOADABLE) {
  test(`not loaded, with file and reason: ${what}`, async (context) => {
    await assert.rejects(compile(context, { 'features/a.ts': text }), (error: Error) => {
      assert.ok(isTidemarkError(error) && error.code === 'TM_DEFINITION_LOAD', String(error))
      assert.match(error.message, says)
      assert.doesNotMatch(error.message, /\n\s+at /)
      return true
    })
  })
}

test('definitions of later kinds under models/, tests of types and data files beside definitions do no harm', async (context) => {
  const files = {
    'features/a.ts': HEAD,
    'features/a.d.ts': 'export declare const nothing: number\n',
    'features/notes.md': '# notes\n',
    'models/model.ts': "throw new Error('not read yet')\n",
  }
  assert.deepEqual(await compile(context, files), ['entity:card', 'source:payments', 'view:ok'])
})

test('one object under two names or from two files is one definition', async (context) => {
  const files = {
    'features/a.ts': `${HEAD}export const again = ok\n`,
    'features/b.ts': "export { ok, payments } from './a.ts'\nexport * from './a.ts'\n",
    'features/deep/er/c.js': "export { card as default } from '../../a.ts'\n",
  }
  assert.deepEqual(await compile(context, files), ['entity:card', 'source:payments', 'view:ok'])
})

test('files may import each other in a circle', async (context) => {
  const files = {
    'features/a.ts': `${HEAD}import { limit } from './b.ts'\nexport const v = featureView('v', { entity: card, from: payments, where: (e) => e.amount > limit(), features })\n`,
    'features/b.ts':
      "import { card } from './a.ts'\nexport const limit = () => 5\nexport const name = () => card.name\n",
  }
  assert.deepEqual(await compile(context, files), ['entity:card', 'source:payments', 'view:ok', 'view:v'])
})

test('a circle that reads what is not there yet is told', async (context) => {
  const files = {
    'features/a.ts': `import { late } from './b.ts'\nexport const early = late\n`,
    'features/b.ts': "import { early } from './a.ts'\nexport const late = early\n",
  }
  await assert.rejects(compile(context, files), { code: 'TM_DEFINITION_LOAD' })
})
