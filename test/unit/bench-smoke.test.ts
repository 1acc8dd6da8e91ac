import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { BenchResult } from '../../bench/bench-result.ts'

test('a benchmark prints its result as the last line, and the same hash twice', () => {
  const run = (): BenchResult => {
    const printed = execFileSync(process.execPath, ['bench/main.ts', 'kernel', '--smoke'], { encoding: 'utf8' })
    return JSON.parse(printed.trim().split('\n').at(-1) ?? '') as BenchResult
  }
  const first = run()
  assert.equal(first.name, 'kernel')
  assert.equal(first.hash, run().hash)
  assert.equal(first.ratio, Math.min(...first.parts.map(({ ratio }) => ratio)))
})

test('the export benchmark runs without peers on a small part of its input, and gives the same hash twice', (context) => {
  const cache = mkdtempSync(join(tmpdir(), 'tidemark-bench-'))
  context.after(() => rmSync(cache, { recursive: true, force: true }))
  const run = (): BenchResult => {
    const env = { ...process.env, XDG_CACHE_HOME: cache }
    const args = ['--disable-warning=ExperimentalWarning', 'bench/main.ts', 'pit-export', '--smoke']
    const printed = execFileSync(process.execPath, args, { encoding: 'utf8', env })
    return JSON.parse(printed.trim().split('\n').at(-1) ?? '') as BenchResult
  }
  const first = run()
  assert.equal(first.name, 'pit-export')
  assert.equal(first.hash, run().hash)
})
