import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assignParts } from '../../../streams/workers/assign-parts.ts'
import { Random, runSeed } from '../../support/random.ts'

const ROUNDS = 2000

interface Case {
  readonly workers: string[]
  readonly parts: string[]
  readonly previous: Map<string, string>
}

/** Earlier owners are those of an assignment, of several that contradict it, or nobody. */
function randomCase(random: Random): Case {
  const names = Array.from({ length: 1 + random.below(6) }, (_, i) => `w${i}`)
  const parts = Array.from({ length: random.below(4) }, (_, group) =>
    Array.from({ length: 1 + random.below(6) }, (__, i) => `g${group}/${i}`),
  ).flat()
  const previous = new Map<string, string>()
  for (const part of [...parts, 'gone/0'])
    if (random.below(4) > 0) previous.set(part, random.pick([...names, 'gone', names[0]]))
  return { workers: names.filter(() => random.below(4) > 0), parts, previous }
}

function sizes(workers: readonly string[], assignment: ReadonlyMap<string, string>): number[] {
  return workers.map((worker) => [...assignment.values()].filter((owner) => owner === worker).length)
}

/** The fewest moves of any balanced division, by trying who gets one part more. */
function fewestMoves({ workers, parts, previous }: Case): number {
  const held = sizes(workers, new Map(parts.map((part) => [part, previous.get(part) ?? ''])))
  const least = Math.floor(parts.length / workers.length)
  const over = parts.length % workers.length
  let fewest = Infinity
  for (let set = 0; set < 1 << workers.length; set++) {
    const more = workers.map((_, i) => (set >> i) & 1)
    if (more.reduce((a, b) => a + b, 0) !== over) continue
    const kept = held.reduce((sum, n, i) => sum + Math.min(n, least + more[i]), 0)
    fewest = Math.min(fewest, parts.length - kept)
  }
  return fewest
}

test('every part has one worker, evenly, with the fewest moves, whoever computes it', () => {
  const random = new Random(runSeed('assignment of parts'))
  for (let round = 0; round < ROUNDS; round++) {
    const one = randomCase(random)
    const { workers, parts, previous } = one
    const assignment = assignParts(workers, parts, previous)
    const text = JSON.stringify([workers, parts, [...previous], [...assignment]])
    if (workers.length === 0) {
      assert.equal(assignment.size, 0)
      continue
    }
    assert.deepEqual([...assignment.keys()].sort(), [...parts].sort(), text)
    const counts = sizes(workers, assignment)
    assert.equal(
      counts.reduce((a, b) => a + b, 0),
      parts.length,
      text,
    )
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, text)
    const moved = parts.filter((part) => previous.get(part) !== assignment.get(part)).length
    assert.equal(moved, fewestMoves(one), text)
    const shuffled = assignParts(random.shuffle(workers), random.shuffle(parts), new Map(random.shuffle([...previous])))
    for (const part of parts) assert.equal(shuffled.get(part), assignment.get(part), text)
    assert.deepEqual(assignParts(workers, parts, assignment), assignment, `nothing moves when nothing changed: ${text}`)
  }
})

test('parts of one group lie with different workers', () => {
  const parts = ['a', 'b'].flatMap((group) => Array.from({ length: 4 }, (_, i) => `${group}/${i}`))
  const assignment = assignParts(['x', 'y'], parts, new Map())
  for (const group of ['a', 'b'])
    assert.deepEqual(sizes(['x', 'y'], new Map([...assignment].filter(([part]) => part.startsWith(group)))), [2, 2])
  const third = assignParts(['x', 'y', 'z'], parts, assignment)
  assert.deepEqual(sizes(['x', 'y', 'z'], third), [3, 3, 2])
  assert.equal(parts.filter((part) => third.get(part) !== assignment.get(part)).length, 2)
})
