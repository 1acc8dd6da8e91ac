import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { openLmdbLog } from '../../stores/log/lmdb/open.ts'
import { temporaryFolder } from '../support/folders.ts'

const ACKNOWLEDGED_MIN = 20

test('LMDB log: processes killed with SIGKILL while appending lose no acknowledged call and tear none', async (context) => {
  const path = await temporaryFolder(context)
  const log = await openLmdbLog({ path, now: () => 0 })
  context.after(() => log.close())
  await log.createTopic('a', { partitions: 1 })
  const acknowledged: { writer: number; call: number; baseOffset: number }[] = []
  const children = [0, 1].map((writer) => {
    const child = fork(resolve('test/support/append-forever.ts'), [path, String(writer)])
    const enough = new Promise<void>((done, failed) => {
      let count = 0
      child.on('message', (message) => {
        acknowledged.push({ writer, ...(message as { call: number; baseOffset: number }) })
        if (++count === ACKNOWLEDGED_MIN) done()
      })
      child.on('exit', (code) => failed(new Error(`writer ${writer} ended by itself with ${code}`)))
    })
    return { child, enough }
  })
  try {
    await Promise.all(children.map(({ enough }) => enough))
  } finally {
    await Promise.all(
      children.map(async ({ child }) => {
        const ended = once(child, 'close')
        child.kill('SIGKILL')
        await ended
      }),
    )
  }
  const texts = (await log.read('a', 0, 0, 1 << 30)).map(({ value }) => new TextDecoder().decode(value))
  assert.equal(texts.length, await log.endOffset('a', 0))
  assert.equal(texts.length % 3, 0)
  for (let at = 0; at < texts.length; at += 3) {
    const call = texts[at].slice(0, -2)
    assert.deepEqual(texts.slice(at, at + 3), [`${call} 0`, `${call} 1`, `${call} 2`])
  }
  for (const { writer, call, baseOffset } of acknowledged) assert.equal(texts[baseOffset], `${writer} ${call} 0`)
  await log.append('a', 0, [new Uint8Array(1)])
})
