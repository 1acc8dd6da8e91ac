import { globSync } from 'node:fs'
import { resolve } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

/** Runs every `test/**\/*.test.ts`; the last line counts the tests. */
const files = globSync('test/**/*.test.ts')
  .sort()
  .map((file) => resolve(file))
// Children and their children start faster when compiled code is kept between runs.
process.env.NODE_COMPILE_CACHE ??= resolve('node_modules/.cache/node')
const counts = { passed: 0, failed: 0, skipped: 0 }

const events = run({
  files,
  concurrency: 2,
  execArgv: ['--conditions=tidemark-source', '--disable-warning=ExperimentalWarning'],
})
events.on('test:pass', ({ details, skip }) => {
  if (details.type === 'suite') return
  if (skip === undefined || skip === false) counts.passed++
  else counts.skipped++
})
events.on('test:fail', ({ details }) => {
  if (details.type !== 'suite') counts.failed++
})
for await (const chunk of events.compose(spec)) process.stdout.write(chunk as string)
if (counts.passed === 0) counts.failed++
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
process.exitCode = counts.failed > 0 ? 1 : 0
