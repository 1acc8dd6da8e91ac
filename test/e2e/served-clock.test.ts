import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodeCell } from '../../features/values/value-bytes.ts'
import type { Manifest } from '../../offline/export.ts'
import { CliProcess, tidemark, tidemarkJson } from '../support/cli-process.ts'
import { PAYMENTS, temporaryProject } from '../support/project.ts'
import { Random, runSeed } from '../support/random.ts'

const CARDS = Array.from({ length: 12 }, (_, card) => `c-${card}`)
const HOUR = 3_600_000

interface Answer {
  readonly features: readonly string[]
  readonly rows: readonly { values: (number | string | null)[]; evaluatedAt: number }[]
}

test(
  'export --as-of served gives every answer that was given, at its time; a rerun from its manifest the same bytes',
  { timeout: 300_000 },
  async (context) => {
    const random = new Random(runSeed('served clock'))
    const project = temporaryProject(context, { 'features/card.ts': PAYMENTS })
    await tidemarkJson(project, 'apply')
    let files = 0
    const file = (name: string, lines: readonly string[]): string => {
      const path = join(project, `${++files}-${name}`)
      writeFileSync(path, `${lines.join('\n')}\n`)
      return path
    }
    const tree = new CliProcess(context, project, 'start', '--port', '0')
    const [, url] = await tree.line(/serving features on (http:\S+)/)
    const asked: { card: string; t: number; cells: Map<string, number | string | null> }[] = []
    for (let round = 0; round < 3; round++) {
      const events = Array.from({ length: 300 }, () =>
        JSON.stringify({
          card_id: random.pick(CARDS.slice(0, 10)),
          merchant: random.pick(['a', 'b', null]),
          amount: random.pick([0.1, 0.2, 1e16, 12.5, -3]),
          paid_at: Date.now() - random.below(48 * HOUR),
        }),
      )
      // The second time as history: it counts for requests from now on, whatever arrival it says.
      if (round === 1) await tidemarkJson(project, 'import', 'payments', file('history.jsonl', events))
      else await tidemarkJson(project, 'produce', 'payments', file('events.jsonl', events))
      await tidemarkJson(project, 'wait', '--timeout', '60s')
      const response = await fetch(`${url}/v1/features/fraud`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          entities: CARDS.map((card_id) => ({ card_id })),
          request: CARDS.map(() => ({ amount: 1 })),
        }),
      })
      const { features, rows } = (await response.json()) as Answer
      rows.forEach(({ values, evaluatedAt }, i) =>
        asked.push({ card: CARDS[i], t: evaluatedAt, cells: new Map(features.map((name, f) => [name, values[f]])) }),
      )
    }
    tree.child.kill('SIGTERM')
    await tree.exited

    const lines = random.shuffle(asked)
    const spine = file('spine.csv', ['card_id,timestamp,amount', ...lines.map(({ card, t }) => `${card},${t},1`)])
    const run = (out: string, ...more: string[]): Promise<Manifest> =>
      tidemarkJson(project, 'export', 'fraud', '--spine', spine, '--out', join(project, out), ...more)
    const manifest = await run('out.csv', '--as-of', 'served')
    assert.deepEqual([manifest.asOf, manifest.rows], ['served', asked.length])
    const windows = new Map(manifest.columns.map(({ name, window }) => [name, window]))
    assert.deepEqual(windows.get('card_spend__spend_24h'), {
      lengthMs: 24 * HOUR,
      hopMs: HOUR / 4,
      rule: 'floor((t - lengthMs) / hopMs) * hopMs <= tau < t',
    })
    assert.deepEqual(windows.get('card_spend__last_merchant'), { lengthMs: 'lifetime', rule: 'tau < t' })
    assert.equal(windows.get('amount_vs_mean'), undefined)
    const [header, ...rows] = readFileSync(join(project, 'out.csv'), 'utf8').trim().split('\n')
    rows.forEach((row, i) => {
      const cells = row.split(',')
      for (const [name, value] of lines[i].cells) {
        if (name === 'amount') continue
        const text = cells[header.split(',').indexOf(name)]
        const found = text === '' ? null : typeof value === 'string' ? text : Number(text)
        const where = `${name} of ${lines[i].card} at ${lines[i].t}`
        assert.deepEqual(encodeCell(found, 'PRESENT'), encodeCell(value, 'PRESENT'), where)
      }
    })

    // By arrival the imported history was there all the time: another clock, other rows.
    const byArrival = await run('arrival.csv')
    assert.notEqual(byArrival.outputSha256, manifest.outputSha256)
    await tidemarkJson(
      project,
      'produce',
      'payments',
      file('more.jsonl', [`{"card_id":"c-1","amount":9,"paid_at":${asked[0].t - HOUR}}`]),
    )
    const again = await run('again.csv', '--as-of', 'served', '--positions', join(project, 'out.csv.manifest.json'))
    assert.deepEqual(again, manifest)

    for (const [t, code] of [
      [asked[0].t - 24 * HOUR, 'TM_SPINE_TOO_EARLY'],
      [Date.now() + HOUR, 'TM_SPINE_TOO_LATE'],
    ] as const) {
      const one = file('one.csv', ['card_id,timestamp,amount', `c-1,${t},1`])
      const out = join(project, 'refused.csv')
      const { code: exit, stderr } = await tidemark(
        project,
        'export',
        'fraud',
        '--spine',
        one,
        '--out',
        out,
        '--as-of',
        'served',
      )
      assert.equal(exit, 1)
      assert.match(stderr, new RegExp(code))
    }
  },
)
