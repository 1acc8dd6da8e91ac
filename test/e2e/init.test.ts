import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { tidemark } from '../support/cli-process.ts'
import { temporaryProject } from '../support/project.ts'

/** The commands of a README's first code block, without comments. */
function commandsOf(readme: string): string[] {
  const [, block] = /```sh\n([^]*?)```/.exec(readme) ?? []
  assert.ok(block !== undefined, 'the README has a block of commands')
  return block
    .split('\n')
    .map((line) => line.replace(/\s+#.*$/, '').trim())
    .filter((line) => line.startsWith('tidemark ') && !line.startsWith('tidemark start'))
}

for (const template of ['cards', 'clicks']) {
  test(`init --template ${template}: every command of its README runs and gives values`, async (context) => {
    const folder = join(temporaryProject(context, {}), 'features of mine')
    const made = await tidemark('.', 'init', folder, '--template', template)
    assert.equal(made.code, 0, made.stderr)
    const commands = commandsOf(readFileSync(join(folder, 'README.md'), 'utf8'))
    assert.deepEqual(
      commands.map((command) => command.split(' ')[1]),
      ['apply', 'import', 'get', 'export'],
    )
    const outputs = commands.map((command) =>
      execFileSync(
        process.execPath,
        ['--disable-warning=ExperimentalWarning', join(process.cwd(), 'cli/main.ts'), ...command.split(' ').slice(1)],
        { cwd: folder, encoding: 'utf8' },
      ),
    )
    assert.match(outputs[1], /^\d+ accepted, 0 refused$/m)
    assert.match(outputs[2], /PRESENT/)
    assert.doesNotMatch(outputs[2], /MISSING|EXPIRED/)
    const [header, first] = readFileSync(join(folder, 'training.csv'), 'utf8').split('\n')
    assert.ok(header.includes('label') && header.split(',').length > 4)
    assert.ok(
      first.split(',').every((cell) => cell !== ''),
      `a training row without a gap: ${first}`,
    )
  })
}

test('init leaves a folder with definitions alone and names a template that it does not know', async (context) => {
  const project = temporaryProject(context, {})
  mkdirSync(join(project, 'mine', 'features'), { recursive: true })
  for (const args of [
    ['init', join(project, 'mine')],
    ['init', join(project, 'new'), '--template', 'nosuch'],
    ['init', join(project, 'package.json')],
  ]) {
    const refused = await tidemark('.', ...args)
    assert.equal(refused.code, 2)
    assert.match(refused.stderr, /^TM_USAGE: [^\n]+\n$/)
  }
})
