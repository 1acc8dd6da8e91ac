import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, normalize } from 'node:path'
import { test } from 'node:test'

const LAYERS = ['features', 'stores', 'registry', 'inference', 'streams', 'offline', 'serving', 'cli'] as const
const RUNTIMES = new Set(['streams', 'offline', 'serving', 'monitor'])
const STORE_PACKAGES =
  /^(lmdb|@duckdb\/|apache-arrow|node:sqlite|kafkajs|@platformatic\/kafka|ioredis|@redis\/|pg$|@aws-sdk)/
const files = globSync(`{${LAYERS.join(',')},examples,bench,deploy,test}/**/*.ts`, { exclude: ['**/fixtures/**'] })
const sources = new Map(files.map((file) => [file, readFileSync(file, 'utf8')]))

function importsOf(text: string): string[] {
  return [...text.matchAll(/^(?:import|export)\s[^'"]*?from\s+'([^']+)'|^import\s+'([^']+)'/gm)].map(
    (match) => match[1] ?? match[2],
  )
}

function layerOf(path: string): string {
  return path.split('/')[0]
}

function rank(layer: string): number {
  return RUNTIMES.has(layer) ? 4 : layer === 'cli' ? 5 : LAYERS.indexOf(layer as (typeof LAYERS)[number])
}

function violations(check: (file: string, text: string) => string[]): string[] {
  return [...sources].flatMap(([file, text]) => check(file, text).map((problem) => `${file}: ${problem}`))
}

const inProduct = (file: string): boolean => rank(layerOf(file)) >= 0

test('imports point one way: features ← stores ← registry ← inference ← runtimes ← cli; runtimes never import each other', () => {
  const found = violations((file, text) => {
    if (!inProduct(file)) return []
    const own = layerOf(file)
    return importsOf(text)
      .filter((name) => name.startsWith('.'))
      .map((name) => layerOf(normalize(`${dirname(file)}/${name}`)))
      .filter((other) => other !== own && (rank(other) < 0 || rank(other) >= rank(own)))
      .map((other) => `${own} must not import ${other}`)
  })
  assert.deepEqual(found, [])
})

test('features/ imports nothing from Node or npm; only stores/ imports storage engines', () => {
  const found = violations((file, text) =>
    importsOf(text)
      .filter((name) => !name.startsWith('.'))
      .filter((name) =>
        file.startsWith('features/')
          ? true
          : inProduct(file) && !file.startsWith('stores/') && STORE_PACKAGES.test(name),
      )
      .map((name) => `must not import ${name}`),
  )
  assert.deepEqual(found, [])
})

test('environment and wall clock are read in the composition root only', () => {
  const found = violations((file, text) => {
    if (!inProduct(file) || file.startsWith('cli/')) return []
    return [...text.matchAll(/process\.env|Date\.now\(|new Date\(\)/g)].map(
      (match) => `uses ${match[0]}: take it as an argument`,
    )
  })
  assert.deepEqual(found, [])
})

test('files are kebab-case, at most 400 lines, and in folders named for a concept', () => {
  const found = violations((file, text) => {
    const problems: string[] = []
    const lines = text.split('\n').length
    if (lines > 400) problems.push(`${lines} lines: is there a second concept in it?`)
    if (!/^[a-z0-9.-]+$/.test(file.split('/').at(-1) ?? '')) problems.push('name it in kebab-case')
    if (/(^|\/)(utils|helpers|common|shared|core|lib|misc)(\/|\.ts)/.test(file))
      problems.push('name the folder for its concept')
    return problems
  })
  assert.deepEqual(found, [])
})

test('no test is switched off', () => {
  const off = new RegExp(String.raw`\b(it|test|describe)\.(only|skip|todo)\(`)
  assert.deepEqual(
    violations((file, text) => (file.startsWith('test/') && off.test(text) ? ['a test is switched off'] : [])),
    [],
  )
})
