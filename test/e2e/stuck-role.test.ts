import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { supervise } from '../../cli/roles/supervisor.ts'
import { tidemark } from '../support/cli-process.ts'
import { PAYMENTS, temporaryProject } from '../support/project.ts'

const BACKTRACKING = PAYMENTS.replace(
  'where: (e) => e.amount > 0',
  'where: (e) => e.merchant === null || /^(?:a+)+$/.test(e.merchant)',
)

test(
  'a role that hangs in a user function is ended with a code and starts anew; serving goes on, nothing is lost',
  { timeout: 300_000 },
  async (context) => {
    const project = temporaryProject(context, { 'features/card.ts': BACKTRACKING })
    assert.equal((await tidemark(project, 'apply')).code, 0)
    const stop = new AbortController()
    context.after(() => stop.abort())
    const said: string[] = []
    const stuck = Promise.withResolvers<void>()
    const ready = Promise.withResolvers<string>()
    const ended = supervise({
      directory: project,
      port: 0,
      log: (_level, role, message) => {
        said.push(`${role}: ${message}`)
        // On a machine under load another role may be late for once: that is not the one that hangs.
        if (role === 'stream' && message.startsWith('TM_ROLE_STUCK')) stuck.resolve()
      },
      signal: stop.signal,
      stuckMs: 9000,
      ready: (url) => ready.resolve(url),
    })
    const url = await Promise.race([ready.promise, ended.then(() => '')])
    const file = join(project, 'events.jsonl')
    writeFileSync(
      file,
      `${JSON.stringify({ card_id: 'c', merchant: `${'a'.repeat(60)}!`, amount: 1, paid_at: Date.now() })}\n`,
    )
    const produced = await tidemark(project, 'produce', 'payments', file)
    assert.equal(produced.code, 0, produced.stderr)
    await Promise.race([stuck.promise, ended])
    const line = said.find((text) => text.startsWith('stream: TM_ROLE_STUCK'))
    assert.match(
      line ?? '',
      /^stream: TM_ROLE_STUCK: .*: where of view card_spend, a function of a definition that does not return.*apply a corrected one.*starts anew/,
    )
    const answer = await fetch(`${url}/v1/features/fraud`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"entities":[{"card_id":"c"}],"request":[{"amount":1}]}',
    })
    assert.equal(answer.status, 200, said.join('\n'))
    // What was produced waits in its topic for a definition that returns.
    const status = JSON.parse((await tidemark(project, '--json', 'status')).stdout) as { caughtUp: boolean }
    assert.equal(status.caughtUp, false)
    stop.abort()
    await ended
  },
)
