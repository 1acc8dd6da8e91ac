import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { projectFolder } from '../../../cli/project-folder.ts'
import { formatTable } from '../../../cli/terminal/table.ts'
import { wrapText } from '../../../cli/terminal/wrap.ts'
import { hasErrorCode, temporaryFolder } from '../../support/folders.ts'

const RED = '\u001b[31m'
const OFF = '\u001b[39m'

test('text is broken between words, within one only where it is longer than a line; a colour ends with its line', () => {
  assert.deepEqual(wrapText('one two three', 13), ['one two three'])
  assert.deepEqual(wrapText('one two three', 12), ['one two', 'three'])
  assert.deepEqual(wrapText('a 12345678 b', 4), ['a', '1234', '5678', 'b'])
  assert.deepEqual(wrapText(`a ${RED}red word${OFF} b`, 6), [`a ${RED}red\u001b[0m`, `${RED}word${OFF} b`])
  assert.deepEqual(wrapText('ünï 😀😀 x', 6), ['ünï 😀😀', 'x'])
})

test('a table is as wide as its cells, or as the terminal, in which the widest cells are broken', () => {
  const header = ['name', 'count', 'what it says']
  const rows = [
    ['payments.card', '7', `${RED}hangs${OFF} since noon and again since then`],
    ['x', '1,000', ''],
  ]
  assert.deepEqual(formatTable(header, rows, Infinity).map(stripVTControlCharacters), [
    'name           count  what it says',
    'payments.card      7  hangs since noon and again since then',
    'x              1,000',
  ])
  assert.deepEqual(formatTable(header, rows, 40).map(stripVTControlCharacters), [
    'name           count  what it says',
    'payments.card      7  hangs since noon',
    '                      and again since',
    '                      then',
    'x              1,000',
  ])
  for (const width of [24, 31, 60])
    for (const line of formatTable(header, rows, width)) assert.ok(stripVTControlCharacters(line).length <= width, line)
})

test('a command works in the project that the working folder is in', async (context) => {
  const folder = await temporaryFolder(context)
  const before = process.cwd()
  context.after(() => process.chdir(before))
  mkdirSync(join(folder, 'shop/features/cards'), { recursive: true })
  process.chdir(folder)
  assert.throws(() => projectFolder(undefined), hasErrorCode('TM_PROJECT_MISSING'))
  assert.equal(projectFolder('elsewhere'), 'elsewhere')
  for (const [at, found] of [
    ['shop', '.'],
    ['shop/features', '..'],
    ['shop/features/cards', '../..'],
  ]) {
    process.chdir(join(folder, at))
    assert.equal(projectFolder(undefined), found)
  }
})
