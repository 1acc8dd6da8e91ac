import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { KEYS, post, serve } from '../../support/features-server.ts'

test('keys and values of every type go through exactly; int64 with all digits, both ways', async (context) => {
  const { app } = await serve(context)
  const answer = await post(
    app,
    'both',
    `{"entities":[{${KEYS}}],"request":[{"amount":12345678901234567890,"big":-9223372036854775808}]}`,
  )
  assert.equal(answer.statusCode, 200, answer.body)
  assert.match(
    answer.body,
    /"values":\[1,9223372036854775806,"AQI=",0\.1,0\.1,12345678901234567000,-9223372036854775808\]/,
  )
  assert.match(answer.headers['content-type'] as string, /^application\/json/)
  const other = await post(
    app,
    'both',
    `{"entities":[{${KEYS.replace('0993', '0992')}}],"request":[{"amount":1,"big":null}]}`,
  )
  assert.match(
    other.body,
    /"values":\[0,null,null,0\.1,0\.1,1,null\],"statuses":\["MISSING","MISSING","MISSING","PRESENT"/,
  )
})

test('a null key makes the features of its views MISSING, as in a spine; the other views answer', async (context) => {
  const { app } = await serve(context)
  const answer = await post(
    app,
    'both',
    `{"entities":[{${KEYS.replace('"raw":"AQI="', '"raw":null')}}],"request":[{"amount":1,"big":1}]}`,
  )
  assert.equal(answer.statusCode, 200, answer.body)
  const [row] = answer.json<{ rows: { values: unknown[]; statuses: string[] }[] }>().rows
  assert.deepEqual(row.values.slice(0, 5), [0, null, null, 0.1, 0.1])
  assert.deepEqual(row.statuses.slice(0, 5), ['MISSING', 'MISSING', 'MISSING', 'PRESENT', 'PRESENT'])
})

const ROW = `{${KEYS}}`
const NESTED = '['.repeat(50_000) + ']'.repeat(50_000)
const REQUEST = '{"amount":1,"big":1}'
/** Body, status, code, and what the message must say. */
const REFUSED: readonly (readonly [string, string | Buffer, number, string, RegExp])[] = [
  ['empty body', '', 400, 'TM_REQUEST_MALFORMED', /empty.*entities/],
  ['not JSON', '{', 400, 'TM_REQUEST_MALFORMED', /not JSON/],
  ['not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 400, 'TM_REQUEST_MALFORMED', /UTF-8/],
  ['a list', '[]', 400, 'TM_REQUEST_MALFORMED', /not an object/],
  ['null', 'null', 400, 'TM_REQUEST_MALFORMED', /not an object/],
  ['no entities', '{}', 400, 'TM_REQUEST_MALFORMED', /entities is missing/],
  ['entities not a list', '{"entities":{}}', 400, 'TM_REQUEST_MALFORMED', /entities is not a list/],
  ['no rows', '{"entities":[]}', 400, 'TM_REQUEST_MALFORMED', /entities is empty/],
  ['a row that is none', '{"entities":[1]}', 400, 'TM_REQUEST_MALFORMED', /row 0 of entities/],
  ['unknown property', `{"entities":[${ROW}],"x":1}`, 400, 'TM_REQUEST_MALFORMED', /unknown property "x"/],
  ['misspelt property', `{"entitys":[${ROW}]}`, 400, 'TM_REQUEST_MALFORMED', /"entitys" \(did you mean "entities"\?\)/],
  ['__proto__', `{"entities":[${ROW}],"__proto__":{"x":1}}`, 400, 'TM_REQUEST_MALFORMED', /unknown property/],
  [
    'request of another length',
    `{"entities":[${ROW},${ROW}],"request":[${REQUEST}]}`,
    400,
    'TM_REQUEST_MALFORMED',
    /1 rows, entities 2/,
  ],
  [
    'missing key',
    '{"entities":[{"place":"p"}],"request":[{"amount":1,"big":1}]}',
    400,
    'TM_ENTITY_KEY',
    /row 0: id.*nothing/,
  ],
  [
    'missing request',
    `{"entities":[${ROW}]}`,
    400,
    'TM_REQUEST_FIELD',
    /row 0: amount should be float64, found nothing/,
  ],
  [
    'null request field',
    `{"entities":[${ROW}],"request":[{"amount":null,"big":1}]}`,
    400,
    'TM_REQUEST_FIELD',
    /found null/,
  ],
  [
    'text for a number',
    `{"entities":[${ROW}],"request":[{"amount":"1","big":1}]}`,
    400,
    'TM_REQUEST_FIELD',
    /found "1"/,
  ],
  [
    'int64 out of range',
    `{"entities":[{${KEYS.replace('9007199254740993', '9223372036854775808')}}],"request":[${REQUEST}]}`,
    400,
    'TM_ENTITY_KEY',
    /int64/,
  ],
  [
    'int64 with a fraction',
    `{"entities":[{${KEYS.replace('9007199254740993', '1.5')}}],"request":[${REQUEST}]}`,
    400,
    'TM_ENTITY_KEY',
    /found 1\.5/,
  ],
  [
    'not in the enum',
    `{"entities":[{${KEYS.replace('"x"', '"z"')}}],"request":[${REQUEST}]}`,
    400,
    'TM_ENTITY_KEY',
    /one of "x", "y", found "z"/,
  ],
  [
    'not base64',
    `{"entities":[{${KEYS.replace('AQI=', 'A!')}}],"request":[${REQUEST}]}`,
    400,
    'TM_ENTITY_KEY',
    /base64/,
  ],
  [
    'lone surrogate',
    `{"entities":[{${KEYS.replace('"p"', String.raw`"\ud800"`)}}],"request":[${REQUEST}]}`,
    400,
    'TM_ENTITY_KEY',
    /place/,
  ],
  [
    'number out of range',
    `{"entities":[${ROW}],"request":[{"amount":1e999,"big":1}]}`,
    400,
    'TM_REQUEST_FIELD',
    /amount/,
  ],
  [
    'unknown field',
    `{"entities":[{${KEYS},"x":1}],"request":[${REQUEST}]}`,
    400,
    'TM_UNKNOWN_FIELD',
    /unknown field "x"; expected id, ok/,
  ],
  [
    'deep nesting',
    `{"entities":[{${KEYS.replace('9007199254740993', '1').replace('"p"', NESTED)}}],"request":[${REQUEST}]}`,
    400,
    'TM_ENTITY_KEY',
    /found a list of 1/,
  ],
  [
    'deep nesting beside a long number',
    `{"entities":[{${KEYS.replace('"p"', NESTED)}}],"request":[${REQUEST}]}`,
    400,
    'TM_REQUEST_MALFORMED',
    /nested too deeply/,
  ],
  [
    'more rows than allowed',
    `{"entities":[${Array.from({ length: 10_001 }, () => '{}').join(',')}]}`,
    413,
    'TM_REQUEST_TOO_LARGE',
    /10001 rows; at most 10000/,
  ],
  ['a huge body', `{"entities":[{"place":"${'x'.repeat(9 << 20)}"}]}`, 413, 'TM_REQUEST_TOO_LARGE', /too large/],
]

test(
  'every wrong body is refused with one clear error, and the server answers on',
  { timeout: 60_000 },
  async (context) => {
    const failures: unknown[] = []
    const { app } = await serve(context, { onFailure: (error) => failures.push(error) })
    for (const [what, body, status, code, message] of REFUSED) {
      const answer = await post(app, 'both', body)
      assert.equal(answer.statusCode, status, `${what}: ${answer.body}`)
      const error = answer.json<{ error: string; code: string; details: object }>()
      assert.deepEqual(Object.keys(error), ['error', 'code', 'details'], what)
      assert.equal(error.code, code, what)
      assert.match(error.error, message, what)
      assert.ok(error.error.length < 600, what)
    }
    const form = await post(app, 'both', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' })
    assert.deepEqual([form.statusCode, form.json<{ code: string }>().code], [400, 'TM_REQUEST_MALFORMED'])
    assert.match(form.body, /application\/json/)
    const unknown = await post(app, 'nope', `{"entities":[${ROW}]}`)
    assert.deepEqual([unknown.statusCode, unknown.json<{ code: string }>().code], [404, 'TM_UNKNOWN_SERVICE'])
    const near = await post(app, 'place', `{"entities":[${ROW}]}`)
    assert.match(near.json<{ error: string }>().error, /known are both, places; did you mean "places"\?$/)
    const misspelt = await post(app, 'places', '{"entities":[{"palce":"p"}]}')
    assert.match(misspelt.json<{ error: string }>().error, /place should be string, found nothing/)
    const route = await app.inject({ method: 'GET', url: '/v1/features/both' })
    assert.deepEqual([route.statusCode, route.json<{ code: string }>().code], [404, 'TM_ROUTE_UNKNOWN'])
    const request = await post(app, 'places', '{"entities":[{"place":"p"}],"request":[{"amount":1}]}')
    assert.deepEqual([request.statusCode, request.json<{ code: string }>().code], [400, 'TM_UNKNOWN_FIELD'])
    assert.match(request.body, /expected none/)
    assert.equal((await post(app, 'places', '{"entities":[{"place":"p"}],"request":[{}]}')).statusCode, 200)
    // Of a repeated name the last value counts, as everywhere in JSON.
    const twice = await post(app, 'places', '{"entities":[{"place":"q","place":"p"}]}')
    assert.match(twice.body, /"values":\[0\.1,0\.1\]/)
    assert.deepEqual(failures, [])
  },
)

test('what is no request at all, or has no route, has an answer of the same shape', async (context) => {
  const { app } = await serve(context)
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  const raw = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      let answer = ''
      const socket = connect(Number(port), '127.0.0.1', () => socket.write(text))
      socket.on('data', (chunk) => (answer += chunk.toString()))
      socket.on('error', reject)
      socket.on('close', () => resolve(answer))
    })
  for (const [sent, status, says] of [
    ['nonsense\r\n\r\n', 400, /no HTTP request/],
    [`GET /healthz HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(70_000)}\r\n\r\n`, 431, /headers are too large/],
    ['GET /v1/%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', 404, /no route GET \/v1\/%zz/],
    ['GET /v1/features/both HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', 404, /read with POST/],
  ] as const) {
    const [head, body] = (await raw(sent)).split('\r\n\r\n')
    assert.match(head, new RegExp(`^HTTP/1.1 ${status} `))
    const { error, code, details } = JSON.parse(body) as { error: string; code: string; details: object }
    assert.match(error, says)
    assert.match(code, /^TM_(REQUEST_MALFORMED|ROUTE_UNKNOWN)$/)
    assert.deepEqual(details, {})
  }
  for (const length of [150, 5000]) {
    const answer = await post(app, 'a'.repeat(length), '{"entities":[{}]}')
    assert.equal(answer.statusCode, 404)
    assert.match(answer.json<{ code: string }>().code, /^TM_(UNKNOWN_SERVICE|ROUTE_UNKNOWN)$/)
  }
  const json = { 'content-type': 'application/json' }
  const zipped = await post(app, 'places', gzipSync('{"entities":[{"place":"p"}]}'), {
    ...json,
    'content-encoding': 'gzip',
  })
  assert.deepEqual([zipped.statusCode, zipped.json<{ code: string }>().code], [400, 'TM_REQUEST_MALFORMED'])
  await post(app, 'places', 'x', { 'content-type': 'text/plain' })
  assert.match((await app.inject('/metrics')).body, /requests_total\{service="unknown",status="400"\} 2/)
})

test('a failure of the store is a 500 with a code, told to the operator under the request id', async (context) => {
  const failures: string[] = []
  const { app, platform } = await serve(context, { onFailure: (_error, id) => failures.push(id) })
  await post(app, 'places', '{"entities":[{"place":"p"}]}')
  await platform.context.online.close()
  const answer = await post(app, 'places', '{"entities":[{"place":"p"}]}', {
    'content-type': 'application/json',
    'x-request-id': 'mine',
  })
  assert.deepEqual([answer.statusCode, answer.json<{ code: string }>().code], [500, 'TM_INTERNAL'])
  assert.deepEqual(failures, ['mine'])
})

test('a request id is the caller’s, or a new one; odd ones are replaced', async (context) => {
  const { app } = await serve(context)
  const ask = async (id: string): Promise<unknown> =>
    (await app.inject({ url: '/healthz', headers: { 'x-request-id': id } })).headers['x-request-id']
  assert.equal(await ask('abc-1'), 'abc-1')
  assert.match(String(await ask('a b')), /^[0-9a-f-]{36}$/)
  assert.match(String(await ask('x'.repeat(200))), /^[0-9a-f-]{36}$/)
})

test('a simulated clock is marked in every answer', async (context) => {
  const { app } = await serve(context, { clock: 'simulated' })
  const answer = await post(app, 'places', '{"entities":[{"place":"p"}]}')
  assert.equal(answer.json<{ clock: string }>().clock, 'simulated')
})

test('readyz gives reasons, with 503 and Retry-After', async (context) => {
  const { app } = await serve(context, { readiness: async () => ({ reasons: ['waiting for x'], impaired: [] }) })
  const answer = await app.inject('/readyz')
  assert.deepEqual(
    [answer.statusCode, answer.headers['retry-after'], answer.json()],
    [503, '1', { ready: false, reasons: ['waiting for x'] }],
  )
})

test('readyz names what is stopped although the others are served', async (context) => {
  const { app } = await serve(context, {
    readiness: async () => ({ reasons: [], impaired: ['partition things.place/1 is stopped'] }),
  })
  const answer = await app.inject('/readyz')
  assert.deepEqual(
    [answer.statusCode, answer.json()],
    [200, { ready: true, reasons: ['partition things.place/1 is stopped'] }],
  )
})

test('metrics count requests by status, rows, cache outcomes, log outcomes and lag', async (context) => {
  const { app } = await serve(context, {
    lag: async () => [{ keyedLog: 'things.place', lagRecords: 7, freshnessMs: 1500 }],
  })
  await post(app, 'places', '{"entities":[{"place":"p"},{"place":"q"}]}')
  await post(app, 'places', '{"entities":[{"place":"p"}]}')
  await post(app, 'places', '{')
  await post(app, 'nope', '{"entities":[{"place":"p"}]}')
  const text = (await app.inject('/metrics')).body
  for (const line of [
    'tidemark_feature_requests_total{service="places",status="200"} 2',
    'tidemark_feature_requests_total{service="places",status="400"} 1',
    'tidemark_feature_requests_total{service="unknown",status="404"} 1',
    'tidemark_feature_rows_total{service="places"} 3',
    'tidemark_feature_view_reads_total{outcome="hit"} 1',
    'tidemark_feature_view_reads_total{outcome="evaluated"} 2',
    'tidemark_served_log_rows_total{outcome="dropped_append"} 0',
    'tidemark_keyed_log_lag_records{keyed_log="things.place"} 7',
    'tidemark_keyed_log_freshness_seconds{keyed_log="things.place"} 1.5',
    'tidemark_feature_request_seconds_count 2',
  ])
    assert.ok(text.split('\n').includes(line), `${line} is not in\n${text}`)
})

interface OpenApi {
  readonly openapi: string
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          { readonly responses: Readonly<Record<string, { content: Record<string, { schema: object }> }>> }
        >
      >
    >
  >
}

test('real answers are as the OpenAPI document says', async (context) => {
  const { app } = await serve(context)
  const document = (await app.inject('/openapi.json')).json<OpenApi>()
  assert.equal(document.openapi, '3.1.0')
  assert.deepEqual(Object.keys(document.paths).sort(), ['/healthz', '/metrics', '/readyz', '/v1/features/{service}'])
  const validator = Fastify({
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, allErrors: true } },
  })
  // The framework makes its validator for the first route that has a schema.
  validator.post('/', { schema: { body: { type: 'object' } } }, () => null)
  await validator.ready()
  context.after(() => validator.close())
  const check = (path: string, method: string, answer: { statusCode: number; body: string }): void => {
    const schema = document.paths[path][method].responses[String(answer.statusCode)]?.content['application/json'].schema
    assert.ok(schema !== undefined, `${path} ${answer.statusCode} is not documented`)
    const failed = problems(validator, schema, JSON.parse(answer.body))
    assert.deepEqual(failed, [], `${path} ${answer.statusCode}`)
  }
  const path = '/v1/features/{service}'
  const good = await post(app, 'both', `{"entities":[${ROW},${ROW}],"request":[${REQUEST},${REQUEST}]}`)
  check(path, 'post', good)
  const spans = await post(
    app,
    'both',
    `{"entities":[${ROW},${ROW}],"request":[${REQUEST},${REQUEST}],"intervals":true}`,
  )
  check(path, 'post', spans)
  assert.match(spans.body, /"intervals":\[/)
  for (const [, body] of REFUSED) check(path, 'post', await post(app, 'both', body))
  check(path, 'post', await post(app, 'nope', `{"entities":[${ROW}]}`))
  check('/healthz', 'get', await app.inject('/healthz'))
  check('/readyz', 'get', await app.inject('/readyz'))
  // The check itself: a missing property is found.
  const broken = JSON.parse(good.body) as { rows: { stamps: object[] }[] }
  broken.rows[0].stamps = [{}]
  const schema = document.paths[path].post.responses['200'].content['application/json'].schema
  assert.notDeepEqual(problems(validator, schema, broken), [])
})

/** What a JSON Schema finds wrong, by the framework's own validator. */
function problems(app: FastifyInstance, schema: object, value: unknown): unknown[] {
  const compile = app.validatorCompiler
  assert.ok(compile !== undefined)
  const validate = compile({ schema, method: 'POST', url: '/', httpPart: 'body' }) as ((data: unknown) => boolean) & {
    errors?: unknown[] | null
  }
  return validate(value) ? [] : (validate.errors ?? ['refused'])
}
