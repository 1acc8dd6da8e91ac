import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../../support/folders.ts'
import { Random, runSeed } from '../../support/random.ts'

interface Told {
  readonly codes: readonly string[]
  readonly flushed: number
  readonly offsets: readonly number[]
  readonly states: number
  readonly appended: number
  readonly records: number
}

/** Runs `flush-until-full` where files cannot grow beyond so many KiB (the shell's limit; the signal that would end the process is ignored). */
function run(folder: string, flushes: number, fileKb: number | 'unlimited'): Told {
  const script = join(import.meta.dirname, '../../support/flush-until-full.ts')
  const command = `trap '' XFSZ; ulimit -f ${fileKb}; exec "$@"`
  const node = [process.execPath, ...process.execArgv.filter((flag) => !flag.startsWith('--test')), script]
  const { status, stdout, stderr } = spawnSync('bash', ['-c', command, 'bash', ...node, folder, String(flushes)], {
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout) as Told
}

test('a disk that takes no more amid a flush or an append: an error with a code, all that was acknowledged is there and nothing else, and work goes on', async (context) => {
  const random = new Random(runSeed('embedded stores on a full disk'))
  const folder = await temporaryFolder(context)
  const full = run(folder, 100_000, 1500 + random.below(1500))
  assert.equal(full.codes.length, 2)
  for (const code of full.codes) assert.ok(['TM_DISK_FULL', 'TM_DATA_IO'].includes(code), code)
  assert.ok(full.flushed > 10 && full.appended > 10)
  const isWhole = ({ flushed, offsets, states, appended, records }: Told): void => {
    assert.deepEqual(offsets, [flushed, flushed, flushed])
    assert.deepEqual([states, records], [flushed, appended])
  }
  isWhole(full)
  const after = run(folder, 20, 'unlimited')
  isWhole(after)
  assert.deepEqual(after, { ...after, codes: [], flushed: full.flushed + 20, appended: full.appended + 40 })
})
