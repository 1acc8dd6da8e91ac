import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { BenchResult } from '../../bench/bench-result.ts'
import { missing } from '../services/installation.ts'

const STREAM_KAFKA_HASH = '9d86f5347d20f197713293a2efc5fbc9b8acbf5f6758c531db5e008594aeb980'

for (const name of ['kernel', 'stream-embedded', 'pit-export', 'as-of-join', 'pit-export-scale', 'feature-read']) {
  test(`benchmark ${name} prints its result as the last line, without peers, and the same hash twice`, (context) => {
    const env = { ...process.env, XDG_CACHE_HOME: temporaryCache(context) }
    const first = smoke(name, env)
    assert.equal(first.name, name)
    assert.equal(first.hash, smoke(name, env).hash)
    const ratios = first.parts.map(({ ratio }) => ratio)
    if (ratios.length > 0) assert.equal(first.ratio, Math.min(...ratios))
  })
}

test('benchmark freshness measures a running start: idle, single events, under load', () => {
  const { name, parts, ratio } = smoke('freshness', process.env)
  assert.deepEqual([name, parts.length, ratio], ['freshness', 3, Math.min(...parts.map((part) => part.ratio))])
})

test('benchmark stream-kafka: one worker, every window as expected', { skip: missing('kafka', 'redis') }, () => {
  const { name, parts, hash } = smoke('stream-kafka', process.env)
  // Of all windows; they are those of a fixed seed.
  assert.deepEqual([name, parts.length, hash], ['stream-kafka', 1, STREAM_KAFKA_HASH])
})

function temporaryCache(context: TestContext): string {
  const cache = mkdtempSync(join(tmpdir(), 'tidemark-bench-'))
  context.after(() => rmSync(cache, { recursive: true, force: true }))
  return cache
}

function smoke(name: string, env: NodeJS.ProcessEnv): BenchResult {
  const args = ['--disable-warning=ExperimentalWarning', 'bench/main.ts', name, '--smoke']
  const printed = execFileSync(process.execPath, args, { encoding: 'utf8', env })
  return JSON.parse(printed.trim().split('\n').at(-1) ?? '') as BenchResult
}
