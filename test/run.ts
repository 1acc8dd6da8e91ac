import { globSync } from 'node:fs'
import { resolve } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { openServiceHost } from './services/service-host.ts'
import { HOST_VARIABLE } from './services/shared-server.ts'

/** The longest first, so that no long one is left for the end. */
const LONGEST = [
  'engines/redis-faults',
  'e2e/crash',
  'unit/bench-smoke',
  'parity/parity',
  'services/kafka',
  'unit/registry/meter',
  'unit/streams/history',
  'e2e/',
  'simulation/',
  'unit/streams/',
  'parity/',
]

/** Runs every `test/**\/*.test.ts`; the last line counts the tests. */
const files = globSync('test/**/*.test.ts')
  .sort()
  .sort((a, b) => rank(a) - rank(b))
  .map((file) => resolve(file))
// Children and their children start faster when compiled code is kept between runs.
process.env.NODE_COMPILE_CACHE ??= resolve('node_modules/.cache/node')
// Real servers are started when a test first asks, once for all test files, and end with this process.
const host = await openServiceHost()
process.env[HOST_VARIABLE] = host.path
const counts = { passed: 0, failed: 0, skipped: 0 }

const events = run({
  files,
  // One more than the two cores that it is made for: many tests wait for servers and processes.
  concurrency: 3,
  execArgv: [
    '--conditions=tidemark-source',
    '--disable-warning=ExperimentalWarning',
    // kafkajs sets a timer into the past once per process.
    '--disable-warning=TimeoutNegativeWarning',
  ],
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
await host.close()
if (counts.passed === 0) counts.failed++
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
process.exitCode = counts.failed > 0 ? 1 : 0

function rank(file: string): number {
  const at = LONGEST.findIndex((part) => file.replaceAll('\\', '/').startsWith(`test/${part}`))
  return at < 0 ? LONGEST.length : at
}
