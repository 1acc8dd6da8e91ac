import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { BothWays } from '../support/both-ways.ts'
import { Platform } from '../support/platform.ts'

const DAY = Date.UTC(2026, 0, 5)
const DOC = readFileSync('docs/semantics.md', 'utf8').split('## A worked example')[1]

/** The rows of the table whose header begins with these words. */
function table(first: string): string[][] {
  const lines = DOC.split('\n')
  const at = lines.findIndex((line) => line.startsWith(`| ${first} `))
  assert.ok(at >= 0, `docs/semantics.md has a table of '${first}'`)
  const rows = lines.slice(at + 2)
  return rows.slice(0, rows.findIndex((line) => !line.startsWith('|')) >>> 0).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

/** Epoch ms of `hh:mm` on the day of the example. */
function timeOf(text: string): number {
  const [hours, minutes] = text.split(':').map(Number)
  return DAY + (hours * 60 + minutes) * 60_000
}

test('the worked example of docs/semantics.md: served, exported and verified as it says', async (context) => {
  const [, definitions] = /```ts\n([^]*?)```/.exec(DOC) ?? []
  const imports = "import { count, entity, featureService, featureView, latest, max, stream, sum, t } from 'tidemark'"
  const events = table('arrives')
  const questions = table('asked at')
  assert.ok(events.length === 4 && questions.length >= 15)
  const platform = await Platform.open(context, `${imports}\n${definitions}`, { now: DAY })
  const both = new BothWays(platform, 'svc')
  const steps = [
    ...events.map(([arrives, time, card, amount]) => ({
      at: timeOf(arrives),
      run: async () => {
        platform.clock.ms = timeOf(arrives)
        await platform.send('payments', [{ card_id: card, amount: Number(amount), paid_at: timeOf(time) }])
      },
    })),
    ...questions.map(([asked, card, feature, value, status]) => ({
      at: timeOf(asked),
      run: async () => {
        const cells = await both.at(timeOf(asked), { card_id: card })
        const expected = { value: JSON.parse(value) as unknown, status }
        assert.deepEqual(cells[`spend__${feature}`], expected, `${feature} of ${card} at ${asked}`)
      },
    })),
  ].sort((a, b) => a.at - b.at)
  for (const { run } of steps) await run()
  await both.check()
})
