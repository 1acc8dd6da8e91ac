import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { ServedLogger } from '../../inference/served-logger.ts'
import { buildApp } from '../../serving/build-app.ts'
import type { AppOptions } from '../../serving/build-app.ts'
import { Platform } from './platform.ts'

const DEFINITIONS = `import { count, entity, featureService, featureView, last, latest, stream, sum, t } from 'tidemark'
export const thing = entity('thing', { id: t.int64(), ok: t.bool(), kind: t.enum('x', 'y'), raw: t.bytes(), at: t.timestamp() })
export const place = entity('place', { place: t.string() })
export const things = stream('things', {
  schema: { id: t.int64(), ok: t.bool(), kind: t.enum('x', 'y'), raw: t.bytes(), at: t.timestamp(), place: t.string(), amount: t.float64(), big: t.int64() },
  eventTime: 'at',
})
export const thingView = featureView('thing_view', { entity: thing, from: things, features: { n: count().over('1h'), big: sum('big').over('1h'), raw: last('raw').over('lifetime') } })
export const placeView = featureView('place_view', { entity: place, from: things, features: { total: sum('amount').over('1h'), newest: latest('amount') } })
export const both = featureService('both', { features: [thingView.all(), placeView.all()], request: { amount: t.float64(), big: t.int64().nullable() } })
export const places = featureService('places', { features: [placeView.all()] })
`
export const NOW = Date.UTC(2024, 5, 1)
const EVENT = `{"id":9007199254740993,"ok":true,"kind":"x","raw":"AQI=","at":${NOW - 1000},"place":"p","amount":0.1,"big":9223372036854775806}`
/** The entity of the event, as fields of a body. */
export const KEYS = `"id":9007199254740993,"ok":true,"kind":"x","raw":"AQI=","at":${NOW - 1000},"place":"p"`

/** A server over one event, with clock and stores in hand. */
export async function serve(
  context: TestContext,
  options: Partial<AppOptions> = {},
): Promise<{ app: FastifyInstance; platform: Platform }> {
  const platform = await Platform.open(context, DEFINITIONS, { now: NOW })
  const { registry, log } = platform.context
  const served = new ServedLogger({ log })
  const app = await buildApp({
    registry,
    reader: platform.reader,
    served,
    clock: 'real',
    readiness: async () => ({ reasons: [], impaired: [] }),
    ...options,
  })
  context.after(async () => {
    await app.close()
    await served.close()
  })
  await platform.send('things', [EVENT])
  platform.clock.ms = NOW
  return { app, platform }
}

export function post(
  app: FastifyInstance,
  service: string,
  payload: string | Buffer,
  headers: Record<string, string> = { 'content-type': 'application/json' },
) {
  return app.inject({ method: 'POST', url: `/v1/features/${service}`, headers, payload })
}
