import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { PAYMENTS, temporaryProject } from '../support/project.ts'

const ROOT = resolve(import.meta.dirname, '../..')

/** Unpacks the tarball as npm would, and links this checkout's dependencies instead of installing them. */
function installPacked(project: string): string {
  execFileSync(process.execPath, [join(ROOT, 'deploy/build.ts')], { cwd: ROOT })
  const packed = execFileSync('npm', ['pack', '--json', '--offline', '--pack-destination', project], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  const [{ filename, size }] = JSON.parse(packed) as { filename: string; size: number }[]
  assert.ok(size < 1_000_000, `the package has ${size} bytes: does it hold data of an example?`)
  const modules = join(project, 'node_modules')
  const installed = join(modules, 'tidemark')
  mkdirSync(installed, { recursive: true })
  execFileSync('tar', ['-xzf', join(project, filename), '-C', installed, '--strip-components=1'])
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    if (!name.startsWith('.') && name !== 'tidemark') symlinkSync(join(ROOT, 'node_modules', name), join(modules, name))
  }
  return join(installed, 'dist/cli/main.js')
}

/** What a caller gets from the packaged client: the exact vector of a definition, and a sentence for what is not in it. */
const CLIENT = `import { openClient } from 'tidemark/client'
import { fraud } from './features/card.ts'
const client = await openClient({ project: '.' })
const { rows } = await client.features(fraud, [{ card_id: 'c-1' }], [{ amount: 21 }])
const [{ vector, statuses, evaluatedAt, stamps }] = rows
const spend: number | null = vector.card_spend__spend_24h
const biggest: number = vector.card_spend__biggest_30d
const ratio: number | null = vector.amount_vs_mean
const merchant: string | null = vector.card_spend__last_merchant
console.log(JSON.stringify({ spend, biggest, ratio, merchant, status: statuses[0], evaluatedAt, offset: stamps[0].nextOffset }))
await client.close()
`

test('the packed package works in an empty project: import, types and commands', { timeout: 300_000 }, (context) => {
  const project = temporaryProject(context, { 'features/card.ts': PAYMENTS })
  const main = installPacked(project)
  const at = { cwd: project, encoding: 'utf8' } as const
  const imported = "import { count, featureView } from 'tidemark'; console.log(typeof count, typeof featureView)"
  const script = ['--input-type=module', '--eval', imported]
  assert.equal(execFileSync(process.execPath, script, at).trim(), 'function function')

  writeFileSync(
    join(project, 'ok.ts'),
    `${PAYMENTS}\nimport type { FeatureVector } from 'tidemark'\nexport type Fraud = FeatureVector<typeof fraud>\n`,
  )
  writeFileSync(join(project, 'wrong.ts'), PAYMENTS.replace("max('amount')", "max('nosuch')"))
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
  const flags = '--noEmit --strict --skipLibCheck --target es2024 --module nodenext'.split(' ')
  execFileSync(process.execPath, [compiler, ...flags, 'ok.ts'], at)
  assert.throws(() => execFileSync(process.execPath, [compiler, ...flags, 'wrong.ts'], { ...at, stdio: 'pipe' }))

  writeFileSync(join(project, 'client.ts'), CLIENT)
  const withSources = [...flags, '--allowImportingTsExtensions', '--types', 'node']
  execFileSync(process.execPath, [compiler, ...withSources, 'client.ts'], at)
  writeFileSync(join(project, 'misread.ts'), `${CLIENT}\nexport const wrong = vector.card_spend__nosuch\n`)
  const misread = spawnSync(process.execPath, [compiler, ...withSources, '--pretty', 'false', 'misread.ts'], at)
  assert.match(misread.stdout, /^misread\.ts\(\d+,\d+\): error TS2\d+: Property 'card_spend__nosuch' does not exist/)
  assert.equal(misread.stdout.trim().split('\n').length, 1, misread.stdout)

  execFileSync(process.execPath, [main, 'init', 'made'], at)
  execFileSync(process.execPath, [compiler, ...flags, 'made/features/card.ts'], at)

  const tidemark = (...args: string[]): unknown =>
    JSON.parse(
      execFileSync(process.execPath, [main, '--project', project, '--json', ...args], { ...at, stdio: 'pipe' }),
    )
  tidemark('apply')
  const event = { card_id: 'c-1', merchant: 'm', amount: 10.5, paid_at: Date.now() - 1000 }
  writeFileSync(join(project, 'events.jsonl'), `${JSON.stringify(event)}\n`)
  assert.deepEqual(tidemark('produce', 'payments', 'events.jsonl'), { accepted: 1, refused: 0, codes: {} })
  const answer = tidemark('get', 'fraud', 'card_id=c-1', 'amount=21') as {
    features: string[]
    rows: { values: unknown[] }[]
  }
  assert.equal(answer.rows[0].values[answer.features.indexOf('card_spend__spend_24h')], 10.5)
  assert.equal(answer.rows[0].values[answer.features.indexOf('amount_vs_mean')], 2)
  const read = JSON.parse(execFileSync(process.execPath, ['client.ts'], at)) as Record<string, unknown>
  assert.equal(typeof read.evaluatedAt, 'number')
  assert.deepEqual([read.spend, read.biggest, read.ratio, read.merchant, read.status], [10.5, 10.5, 2, 'm', 'PRESENT'])
  assert.match(execFileSync(process.execPath, [main, '--project', 'made', 'apply'], at), /^added +service +fraud/m)
})
