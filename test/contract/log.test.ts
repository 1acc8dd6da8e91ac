import { openLmdbLog } from '../../stores/log/lmdb/open.ts'
import type { Log } from '../../stores/log/log.ts'
import { temporaryFolder } from '../support/folders.ts'
import { embeddedLogContract, logContract } from './log.contract.ts'
import type { OwnClockFixture } from './log.contract.ts'
import type { TestContext } from 'node:test'

const lmdb = async (context: TestContext): Promise<OwnClockFixture> => {
  const path = await temporaryFolder(context)
  let now = 1_700_000_000_000
  const opened: Log[] = []
  context.after(() => Promise.all(opened.map((log) => log.close())))
  return {
    async open() {
      const log = await openLmdbLog({ path, now: () => now })
      opened.push(log)
      return log
    },
    setNow(epochMs) {
      now = epochMs
    },
  }
}

logContract('LMDB log', lmdb)
embeddedLogContract('LMDB log', lmdb)
