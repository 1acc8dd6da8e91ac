import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openLmdbLog } from '../../stores/log/lmdb/open.ts'
import type { Fault } from '../../streams/repair/partition-repair.ts'
import { CliProcess, tidemark, tidemarkJson as json } from '../support/cli-process.ts'
import { flipped } from '../support/damaged-log.ts'
import { PAYMENTS, temporaryProject } from '../support/project.ts'
import { Random, runSeed } from '../support/random.ts'

const TOPIC = 'keyed.payments.card'

interface Outcome {
  readonly mended: boolean
  readonly faults: readonly Fault[]
  readonly complete: boolean
}

interface Vector {
  readonly rows: readonly { readonly values: readonly unknown[] }[]
}

test(
  'repair beside a running start: stopped partitions go on, every event counts',
  { timeout: 300_000 },
  async (context) => {
    const random = new Random(runSeed('repair e2e'))
    const project = temporaryProject(context, { 'features/card.ts': PAYMENTS })
    await json(project, 'apply')
    const cards = Array.from({ length: 12 }, (_, i) => `c-${i}`)
    const path = join(project, 'events.jsonl')
    writeFileSync(
      path,
      cards
        .map((card_id, i) => JSON.stringify({ card_id, merchant: null, amount: 1, paid_at: Date.now() - 1000 * i }))
        .join('\n'),
    )
    await json(project, 'produce', 'payments', path)
    const server = new CliProcess(context, project, 'start', '--port', '0')
    const [, url] = await server.line(/on (http:\S+)/)
    // A block that was damaged before anybody could read it.
    const log = await openLmdbLog({ path: join(project, '.tidemark/log'), now: Date.now })
    const ends = await Promise.all([0, 1, 2, 3].map((partition) => log.endOffset(TOPIC, partition)))
    const partition = ends.findIndex((end) => end > 0)
    const [{ value }] = await log.read(TOPIC, partition, 0, 1)
    await log.append(TOPIC, partition, [flipped(value, random)])
    await log.close()
    await json(project, 'produce', 'payments', path)
    assert.equal((await tidemark(project, 'wait', '--timeout', '3s')).code, 1)

    const found = await json<Outcome>(project, 'repair')
    assert.deepEqual(
      [found.mended, found.faults.length, found.faults[0].code, found.faults[0].offset],
      [false, 1, 'TM_BLOCK_UNREADABLE', ends[partition]],
    )
    assert.match((await tidemark(project, 'repair')).stdout, /TM_BLOCK_UNREADABLE.*payments\.card[\s\S]*repair --yes/)
    const ready = await fetch(`${url}/readyz`)
    assert.equal(ready.status, 200, 'the other partitions are served')
    assert.match(await ready.text(), new RegExp(`payments\\.card/${partition} is stopped.*TM_BLOCK_UNREADABLE`))
    const mended = await json<Outcome>(project, 'repair', '--yes')
    assert.deepEqual([mended.mended, mended.faults.length], [true, 1])
    await json(project, 'wait', '--timeout', '60s')
    const body = JSON.stringify({
      entities: cards.map((card_id) => ({ card_id })),
      request: cards.map(() => ({ amount: 1 })),
    })
    const headers = { 'content-type': 'application/json' }
    const answer = (await (await fetch(`${url}/v1/features/fraud`, { method: 'POST', headers, body })).json()) as Vector
    assert.deepEqual(
      answer.rows.map(({ values }) => values[0]),
      cards.map(() => 2),
    )
    assert.match(server.output, /TM_BLOCK_UNREADABLE/)
    server.child.kill('SIGTERM')
    await server.exited
    assert.deepEqual(await json<Outcome>(project, 'repair', '--yes'), { mended: true, faults: [], complete: true })
    assert.equal((await json<{ mismatchCount: number }>(project, 'verify')).mismatchCount, 0)
  },
)
