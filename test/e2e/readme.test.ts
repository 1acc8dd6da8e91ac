import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { tidemark } from '../support/cli-process.ts'
import { temporaryProject } from '../support/project.ts'

const README = readFileSync('README.md', 'utf8')

test('the commands of the README under "A project of your own" run as they stand and serve a vector', async (context) => {
  const [, block] = /## A project of your own[^]*?```sh\n([^]*?)```/.exec(README) ?? []
  assert.ok(block !== undefined)
  const folder = join(temporaryProject(context, {}), 'my-features')
  const prefix = 'npm run -s tidemark -- '
  const outputs: string[] = []
  for (const line of block.trim().split('\n')) {
    assert.ok(line.startsWith(prefix), line)
    const args = line.slice(prefix.length).replaceAll('my-features', folder).split(' ')
    // Options of the whole program may stand before the command, as here.
    const { code, stdout, stderr } = await tidemark('.', ...args)
    assert.equal(code, 0, `${line}\n${stderr}`)
    outputs.push(stdout)
  }
  assert.equal(outputs.length, 4)
  assert.match(outputs[3], /card_spend__spend_24h +[\d.]+ +PRESENT/)
})

test('README and help name the same commands', async () => {
  const { stdout } = await tidemark('.', '--help')
  const helped = [...(stdout.split('Commands:')[1]?.split('Examples:')[0] ?? '').matchAll(/^ {2}([a-z-]+)/gm)].map(
    ([, name]) => name,
  )
  const [, rows] = /\| command \| does \|\n\| --- \| --- \|\n([^]*?)\n\n/.exec(README) ?? []
  const named = [...(rows ?? '').matchAll(/`([a-z-]+)[^`]*`/g)].map(([, name]) => name)
  assert.deepEqual(
    helped.filter((name) => name !== 'help' && !named.includes(name)),
    [],
    'commands of --help that the README lacks',
  )
  assert.deepEqual(
    named.filter((name) => !helped.includes(name)),
    [],
    'commands of the README that do not exist',
  )
})
