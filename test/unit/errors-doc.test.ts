import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { ErrorTable } from '../../features/errors/tidemark-error.ts'

test('docs/errors.md lists every code of every layer, with its disposition, status and meaning, and no other', async () => {
  const rows: string[] = []
  for (const file of globSync('{features/errors/kernel-errors.ts,*/errors.ts}').sort()) {
    const module = (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>
    for (const [name, table] of Object.entries(module)) {
      if (!name.endsWith('_ERRORS')) continue
      for (const [code, { disposition, status, meaning }] of Object.entries(table as ErrorTable))
        rows.push(`| \`${code}\` | ${disposition} | ${status} | ${meaning} |`)
    }
  }
  const documented = readFileSync('docs/errors.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `TM_'))
  assert.deepEqual(
    documented.sort(),
    rows.sort(),
    'docs/errors.md is out of step with the tables: copy the rows printed here',
  )
})
