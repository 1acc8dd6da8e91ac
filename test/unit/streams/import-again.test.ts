import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gatherColumn } from '../../../features/values/gather.ts'
import type { ColumnBatch, Tables } from '../../../stores/tables/tables.ts'
import { importFiles } from '../../../streams/imports/import-files.ts'
import { replayDeadLetters } from '../../../streams/dead-letters/replay-dead-letters.ts'
import type { StreamContext } from '../../../streams/stream-context.ts'
import { faultyContext, Fuse } from '../../support/faulty-stores.ts'
import { Platform } from '../../support/platform.ts'
import { Random, runSeed } from '../../support/random.ts'

const HOUR = 3_600_000
const START = Date.UTC(2024, 0, 1)
const ROWS = 24
const DEFINITIONS = `import { count, entity, featureService, featureView, sum, table, t } from 'tidemark'
export const all = entity('all', { everything: t.string() })
export const prices = table('prices', {
  schema: { everything: t.string(), bit: t.int64(), at: t.timestamp(), known_at: t.timestamp() }, eventTime: 'at', arrival: 'known_at',
})
export const seen = featureView('seen', { entity: all, from: prices, features: { n: count().over('lifetime'), bits: sum('bit').over('lifetime') } })
export const svc = featureService('svc', { features: [seen.all()] })
`

/** Files are read a few rows at a time: a kill may come between any two. */
function inSmallBatches(tables: Tables, random: Random): Tables {
  async function* readColumns(...args: Parameters<Tables['readColumns']>): AsyncIterable<ColumnBatch> {
    for await (const { rows, columns } of tables.readColumns(...args))
      for (let from = 0; from < rows;) {
        const some = Int32Array.from({ length: Math.min(rows - from, 1 + random.below(6)) }, (_, i) => from + i)
        yield { rows: some.length, columns: columns.map((column) => gatherColumn(column, some)) }
        from += some.length
      }
  }
  return new Proxy(tables, {
    get: (target, name) => {
      const member = name === 'readColumns' ? readColumns : (Reflect.get(target, name) as unknown)
      return typeof member === 'function' ? (member.bind(target) as unknown) : member
    },
  })
}

test(
  'a file with rows from the future, imported again and again, killed and replayed in any order: each row counts once',
  { timeout: 120_000 },
  async (context) => {
    const random = new Random(runSeed('import again'))
    for (let round = 0; round < 6; round++) {
      const platform = await Platform.open(context, DEFINITIONS, { now: START })
      const rows = Array.from({ length: ROWS }, (_, i) => ({
        everything: 'x',
        bit: 2 ** i,
        at: START - i,
        known_at: START + random.pick([-HOUR, -HOUR, HOUR, 2 * HOUR, 5 * HOUR]),
      }))
      const file = platform.file('.jsonl', rows.map((row) => JSON.stringify(row)).join('\n'))
      const stores = (): StreamContext => ({
        ...platform.context,
        tables: inSmallBatches(platform.context.tables, random),
      })
      const importOnce = async (kill: boolean): Promise<void> => {
        const fuse = new Fuse(random)
        if (kill) fuse.light(random.below(14))
        try {
          await importFiles(faultyContext(stores(), fuse), 'prices', [file], { arrival: null })
        } catch (error) {
          if (!kill) throw error
        }
      }
      for (let step = 0; step < 9; step++) {
        platform.clock.ms += random.pick([0, HOUR / 2, HOUR])
        const what = random.below(5)
        if (what < 3) await importOnce(what < 2)
        else if (what === 3)
          await replayDeadLetters(platform.context, 'prices', { limit: random.pick([1, 3, undefined]) })
        else await platform.settle()
      }
      await importOnce(false)
      await replayDeadLetters(platform.context, 'prices')
      await importOnce(false)
      await platform.settle()
      platform.clock.ms += 1
      const { cells } = await platform.readOne('svc', { everything: 'x' })
      assert.deepEqual([cells.seen__n.value, cells.seen__bits.value], [ROWS, 2n ** BigInt(ROWS) - 1n], `round ${round}`)
      assert.deepEqual((await platform.verify()).mismatches, [])
    }
  },
)
