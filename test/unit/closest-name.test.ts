import assert from 'node:assert/strict'
import { test } from 'node:test'
import { closestName, didYouMean } from '../../features/errors/closest-name.ts'
import { Random, runSeed } from '../support/random.ts'

test('the closest name is told where it is close, and nothing where none is', () => {
  const names = ['fraud', 'card_spend', 'merchant_risk', 'n']
  assert.equal(closestName('fruad', names), 'fraud')
  assert.equal(closestName('Fraud', names), 'fraud')
  assert.equal(closestName('card_spned', names), 'card_spend')
  assert.equal(closestName('cardspend', names), 'card_spend')
  assert.equal(closestName('merchant', names), null)
  assert.equal(closestName('delay', names), null)
  assert.equal(closestName('', names), null)
  assert.equal(closestName('fraud', []), null)
  assert.equal(didYouMean('fruad', names), '; did you mean "fraud"?')
  assert.equal(didYouMean('zzz', names), '')
})

test('a name with one or two edits is found among names that are far', () => {
  const random = new Random(runSeed('closest name'))
  const letters = 'abcdefghijklmnopqrstuvwxyz_'.split('')
  const word = (): string => Array.from({ length: 6 + random.below(12) }, () => random.pick(letters)).join('')
  for (let round = 0; round < 300; round++) {
    const names = Array.from({ length: 8 }, word)
    const name = random.pick(names)
    const at = random.below(name.length - 1)
    const changed = random.pick([
      name.slice(0, at) + name.slice(at + 1),
      `${name.slice(0, at)}q${name.slice(at)}`,
      `${name.slice(0, at)}q${name.slice(at + 1)}`,
      name.slice(0, at) + name[at + 1] + name[at] + name.slice(at + 2),
    ])
    assert.equal(closestName(changed, names), name, `${changed} of ${names.join(', ')}`)
  }
})
