import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FeatureReader } from '../../../inference/assemble.ts'
import { answer } from '../../../serving/answer.ts'
import { parseFeaturesBody } from '../../../serving/parse-features-body.ts'
import { NOW, serve } from '../../support/features-server.ts'
import { Random, runSeed } from '../../support/random.ts'

test('over a socket: the bytes that a reader without memory gives, for text beyond ASCII too, by way of the cache or not', async (context) => {
  const random = new Random(runSeed('answers over HTTP'))
  const { app, platform } = await serve(context)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const { registry, online, buckets, partitions } = platform.context
  const service = await registry.service('both')
  const texts = ['p', 'é', '日本', '😀', String.raw`\"\u0000`, '']
  for (let round = 0; round < 40; round++) {
    const amount = random.next()
    const entities = Array.from({ length: 1 + random.below(3) }, () => {
      const fields = { ok: true, kind: 'x', raw: 'AQI=', at: NOW - 1000, place: random.pick(texts) }
      return { id: 2 ** 53 - random.below(3), ...fields }
    })
    const request = entities.map(() => ({ amount, big: null }))
    if (random.below(3) === 0)
      await platform.send('things', [JSON.stringify({ ...random.pick(entities), amount, big: random.below(9) })])
    platform.clock.ms += random.pick([0, 1, 60_000, 3_600_000])
    const body = JSON.stringify({ entities, request })
    const headers = { 'content-type': 'application/json', 'x-request-id': `r-${round}` }
    const reply = await fetch(`${url}/v1/features/both`, { method: 'POST', headers, body })
    const bytes = Buffer.from(await reply.arrayBuffer())
    const options = { registry, online, buckets, partitions, now: () => platform.clock.ms, cacheBytesMax: 0 }
    const parsed = parseFeaturesBody(Buffer.from(body))
    const vectors = await new FeatureReader(options).read(service, parsed.entities, parsed.request)
    assert.equal(bytes.toString('utf8'), answer(service, vectors, { clock: 'real' }), `round ${round}`)
    assert.equal(reply.headers.get('content-length'), String(bytes.length))
    assert.equal(reply.headers.get('content-type'), 'application/json; charset=utf-8')
    assert.equal(reply.headers.get('x-request-id'), `r-${round}`)
  }
  const { hits, evaluations } = platform.reader.counts
  assert.ok(hits > 0 && evaluations > 0, `${hits} hits, ${evaluations} evaluations`)
})
