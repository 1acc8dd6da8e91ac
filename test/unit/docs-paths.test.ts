import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

/** Files of a project or a data folder, not of this repository. */
const ELSEWHERE = new Set(['my-features/README.md', 'clock.json', 'features/flights.ts', 'tidemark.config.ts'])

test('files that the documents name exist, and so do those that they link to', () => {
  const known = globSync('**/*.{ts,md,json,py}', { exclude: ['node_modules/**', 'dist/**', '.tidemark/**'] })
  const missing: string[] = []
  for (const document of globSync('{*.md,docs/**/*.md,examples/**/*.md}')) {
    const text = readFileSync(document, 'utf8')
    for (const [, name] of text.matchAll(/`([a-z][\w/.-]*\.(?:ts|md|json|py))`/g))
      if (!ELSEWHERE.has(name) && !known.some((file) => file === name || file.endsWith(`/${name}`)))
        missing.push(`${document}: ${name}`)
    for (const [, link] of text.matchAll(/\]\(([^)#]+)[^)]*\)/g))
      if (!link.includes('://') && !existsSync(join(dirname(document), link)))
        missing.push(`${document}: link to ${link}`)
  }
  assert.deepEqual(missing, [])
})
