import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import * as client from '../../cli/client.ts'
import { openProject } from '../../cli/open-project.ts'
import { drain } from '../../cli/run-roles.ts'
import { serve } from '../../cli/serve.ts'
import { verifyServed } from '../../offline/verify.ts'
import { produce } from '../../streams/produce.ts'
import { hasErrorCode } from '../support/folders.ts'
import { PAYMENTS, temporaryProject } from '../support/project.ts'

// A clock that stands still: both answers are evaluated at one time.
const CONFIG =
  "import { defineConfig } from 'tidemark'\nexport default defineConfig({ clock: { from: '2024-06-01T00:00Z', rate: 1e-9 } })\n"
const ENTITIES = [{ card_id: 'a' }, { card_id: 'ü' }, { card_id: null }, { card_id: 'nobody' }]
const REQUEST = ENTITIES.map((_, i) => ({ amount: i / 10 }))

async function filled(context: TestContext): Promise<string> {
  const folder = temporaryProject(context, { 'features/card.ts': PAYMENTS, 'tidemark.config.ts': CONFIG })
  const project = await openProject(folder)
  await project.registry.apply(folder, project.now())
  await drain(project)
  const at = project.now() - 60_000
  await produce(
    project,
    'payments',
    ['a', 'a', 'ü'].map((card_id, i) => JSON.stringify({ card_id, merchant: null, amount: 0.1 + i, paid_at: at })),
  )
  await drain(project)
  await project.close()
  return folder
}

test(
  'the client gives what HTTP gives, byte for byte, and logs it for verification',
  { timeout: 60_000 },
  async (context) => {
    const folder = await filled(context)
    const project = await openProject(folder)
    const server = await serve(project, { host: '127.0.0.1', port: 0, trustNetwork: false, portSetting: '--port' })
    const opened = await client.openClient({ project: folder })
    context.after(() => opened.close())
    const answer = await opened.features('fraud', ENTITIES, REQUEST)
    const response = await fetch(`${server.url}/v1/features/fraud`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ entities: ENTITIES, request: REQUEST }),
    })
    assert.equal(answer.toJson(), await response.text())
    assert.match(answer.toJson(), /"clock":"simulated"/)
    assert.equal(answer.rows[0].vector.card_spend__spend_24h, 1.2000000000000002)
    assert.deepEqual(answer.rows[2].statuses.slice(0, 2), ['MISSING', 'MISSING'])
    const asked = await opened.features('fraud', ENTITIES, REQUEST, { intervals: true })
    const withIntervals = await fetch(`${server.url}/v1/features/fraud`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ entities: ENTITIES, request: REQUEST, intervals: true }),
    })
    assert.equal(asked.toJson(), await withIntervals.text())
    const at = asked.rows[0].evaluatedAt
    const since = (ms: number, hop: number): [number, number] => [Math.floor((at - ms) / hop) * hop, at]
    const [minute, hour] = [60_000, 3_600_000]
    const spans = [
      since(hour, minute),
      since(24 * hour, 15 * minute),
      since(168 * hour, hour),
      since(720 * hour, 6 * hour),
    ]
    // Features, then a lifetime, the request field and the derived one.
    assert.deepEqual(asked.rows[0].intervals, [...spans, null, null, null])
    assert.equal(answer.rows[0].intervals, undefined)
    await assert.rejects(opened.features('nope', ENTITIES), hasErrorCode('TM_UNKNOWN_SERVICE'))
    await assert.rejects(opened.features('fraud', ENTITIES, [{ amount: 1 }]), hasErrorCode('TM_USAGE'))
    await assert.rejects(opened.features('fraud', [{ card_id: 1 }], [{ amount: 1 }]), hasErrorCode('TM_ENTITY_KEY'))
    await server.stop()
    await opened.close()
    await opened.close()
    const report = await verifyServed(project)
    assert.deepEqual([report.rows, report.mismatchCount], [16, 0])
    await project.close()
  },
)

test('a definition stands for its name', async (context) => {
  const folder = await filled(context)
  const opened = await client.openClient({ project: folder })
  context.after(() => opened.close())
  const { fraud } = (await import(pathToFileURL(join(folder, 'features/card.ts')).href)) as {
    fraud: import('../../features/index.ts').ServiceDefinition
  }
  const answer = await opened.features(fraud, [{ card_id: 'a' }], [{ amount: 1 }])
  assert.equal(answer.service, 'fraud')
})

test('public names of tidemark/client', () => {
  assert.deepEqual(Object.keys(client).sort(), ['openClient'])
})
