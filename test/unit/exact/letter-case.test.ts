import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lowerCase, upperCase } from '../../../features/exact/letter-case.ts'
import { unstablePart } from '../../../features/exact/stable-pattern.ts'
import { Random, runSeed } from '../../support/random.ts'

/** The Unicode version of the tables. */
const UNICODE = '17.0'

test('every character has the case that an engine of the same Unicode version gives it', (context) => {
  if (process.versions.unicode !== UNICODE) return context.skip(`this engine has Unicode ${process.versions.unicode}`)
  for (let code = 0; code < 0x110000; code++) {
    const character = String.fromCodePoint(code)
    // Engines replace what is no character when they change its case.
    if (code >= 0xd800 && code < 0xe000) continue
    assert.equal(upperCase(character), character.toUpperCase(), `U+${code.toString(16)}`)
    assert.equal(lowerCase(character), character.toLowerCase(), `U+${code.toString(16)}`)
  }
})

test('texts are mapped character by character; the lower case of Σ is σ everywhere', () => {
  assert.equal(upperCase('straße ŉ 😀 ﬃ'), 'STRASSE ʼN 😀 FFI')
  assert.equal(lowerCase('ÀÉÎ ΣΑΣ İ ABC'), 'àéî σασ i̇ abc')
  assert.equal(lowerCase(''), '')
  assert.equal(upperCase('\ud800a'), '\ud800A')
  const random = new Random(runSeed('letter case'))
  for (let round = 0; round < 200; round++) {
    const text = Array.from({ length: 20 }, () => String.fromCodePoint(random.below(128))).join('')
    assert.equal(upperCase(text), text.toUpperCase())
    assert.equal(lowerCase(text), text.toLowerCase())
  }
})

test('patterns that follow the Unicode version are told from those that do not', () => {
  const unstable: [string, string, string][] = [
    [String.raw`\p{L}+`, 'u', String.raw`\p{…}`],
    [String.raw`a\P{Lu}`, 'v', String.raw`\P{…}`],
    ['é', 'i', 'flag i with é'],
    [String.raw`[\u00e0-\u00ff]`, 'iu', String.raw`flag i with \u00e0`],
    [String.raw`\xe9`, 'gi', String.raw`flag i with \xe9`],
    [String.raw`\u{1F600}`, 'iu', String.raw`flag i with \u{1F600}`],
    [String.raw`(.)\1`, 'i', String.raw`flag i with \1`],
    [String.raw`(?<a>.)\k<a>`, 'i', String.raw`flag i with \k<`],
    ['(?i:é)', '', 'flag i with é'],
  ]
  for (const [source, flags, part] of unstable) assert.equal(unstablePart(source, flags), part)
  const stable: [string, string][] = [
    [String.raw`\p{L}`, ''],
    [String.raw`\\p{L}`, 'u'],
    ['é', 'u'],
    ['[a-z]+', 'i'],
    ['[^a-z]', 'iu'],
    [String.raw`\w\W\s\b\x41\u0041`, 'i'],
    [String.raw`(.)\1`, 'u'],
    ['(?:é)', ''],
  ]
  for (const [source, flags] of stable) assert.equal(unstablePart(source, flags), null, source)
})
