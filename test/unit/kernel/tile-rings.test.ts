import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TileRings } from '../../../features/kernel/tile-rings.ts'
import { Random, runSeed } from '../../support/random.ts'

test('rings hold what arrays hold: inserted anywhere, dropped at the old end, cleared and used again', () => {
  const random = new Random(runSeed('tile rings'))
  const rings = new TileRings()
  const arrays: [number, number][][] = []
  for (let step = 0; step < 30_000; step++) {
    if (arrays.length < 12 && random.below(1000) < 3) {
      arrays.push([])
      rings.reserve(arrays.length)
    }
    if (arrays.length === 0) continue
    const entity = random.below(arrays.length)
    const held = arrays[entity]
    if (random.below(400) === 0) {
      rings.clear(entity)
      held.length = 0
    } else if (held.length > 0 && random.below(3) === 0) {
      rings.dropOldest(entity)
      held.shift()
    } else {
      const tile = random.below(5) === 0 ? -random.below(1e6) : (held.at(-1)?.[0] ?? 28_000_000) + random.below(3) - 1
      const at = rings.lowerBound(entity, tile, held.length)
      assert.equal(at, held.filter(([other]) => other < tile).length)
      if (held[at]?.[0] === tile) continue
      rings.insert(entity, at, tile, step)
      held.splice(at, 0, [tile, step])
    }
    assert.equal(rings.count(entity), held.length)
    const i = random.below(held.length)
    if (held.length > 0) assert.deepEqual([rings.tile(entity, i), rings.cell(entity, i)], held[i])
    if (step % 100 > 0) continue
    const tiles = new Float64Array(held.length)
    const cells = new Int32Array(held.length)
    assert.equal(rings.copy(entity, tiles, cells), held.length)
    assert.deepEqual(
      Array.from(tiles, (of, k) => [of, cells[k]]),
      held,
    )
  }
})
