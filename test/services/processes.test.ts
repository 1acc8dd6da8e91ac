import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { missing } from './installation.ts'
import { startRedis } from './redis.ts'
import { openServiceHost } from './service-host.ts'
import { isAlive } from './server-process.ts'
import { HOST_VARIABLE } from './shared-server.ts'
import { until } from './until.ts'

const skip = missing('redis')

/** A process of its own that runs a module. */
function run(code: string, env: Record<string, string> = {}): ChildProcess {
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', code]
  const { [HOST_VARIABLE]: _, ...own } = process.env
  return spawn(process.execPath, args, {
    cwd: import.meta.dirname,
    env: { ...own, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function firstLine(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stdout! })) return line
  throw new Error('the process printed nothing')
}

const START_REDIS = `
  import { startRedis } from './redis.ts'
  const { node, folder } = await startRedis()
  console.log(JSON.stringify({ pid: node.pid, folder }))`

async function startedRedis(child: ChildProcess): Promise<{ pid: number; folder: string }> {
  return JSON.parse(await firstLine(child)) as { pid: number; folder: string }
}

test('a server ends with the process that started it, and its folder goes', { skip }, async () => {
  const child = run(START_REDIS)
  const exited = once(child, 'exit')
  const { pid, folder } = await startedRedis(child)
  await exited
  await until(() => !isAlive(pid))
  assert.equal(existsSync(folder), false)
})

test('a server ends with a process that is killed; the next process removes its folder', { skip }, async () => {
  const child = run(`${START_REDIS}\nsetInterval(() => {}, 1000)`)
  const { pid, folder } = await startedRedis(child)
  assert.ok(isAlive(pid) && existsSync(folder))
  child.kill('SIGKILL')
  await until(() => !isAlive(pid))
  await startedRedis(run(START_REDIS))
  assert.equal(existsSync(folder), false)
})

test('a server that cannot start says why, with its log', { skip }, async () => {
  await assert.rejects(startRedis({ 'no-such-setting': 'x' }), (error) => {
    assert.match(String(error), /redis standalone ended before it was ready/)
    assert.match(String(error), /no-such-setting/)
    return true
  })
})

test('test processes of one run share a server', { skip }, async () => {
  const host = await openServiceHost()
  const ask = (name: string): ChildProcess =>
    run(
      `import { sharedServer } from './shared-server.ts'
       console.log(await sharedServer('${name}').then(({ url }) => url, (error) => error.message))`,
      { [HOST_VARIABLE]: host.path },
    )
  const [one, other, unknown] = await Promise.all([ask('redis'), ask('redis'), ask('mainframe')].map(firstLine))
  await host.close()
  assert.match(one, /^redis:\/\/127\.0\.0\.1:\d+$/)
  assert.equal(one, other)
  assert.equal(unknown, "no shared server 'mainframe'")
})

test('a missing server is a reason to skip, and an error where services are required', async () => {
  const code = `
    import { missing } from './installation.ts'
    try { console.log(missing('s3')) } catch (error) { console.log('error: ' + error.message) }`
  const away = { TIDEMARK_SERVICES: `${tmpdir()}/no-such-folder` }
  const reason = 's3 not installed: run `npm run services`'
  assert.equal(await firstLine(run(code, { ...away, TIDEMARK_REQUIRE_SERVICES: '' })), reason)
  assert.equal(await firstLine(run(code, { ...away, TIDEMARK_REQUIRE_SERVICES: '1' })), `error: ${reason}`)
})
