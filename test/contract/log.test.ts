import { openLmdbLog } from '../../stores/log/lmdb/open.ts'
import type { Log } from '../../stores/log/log.ts'
import { temporaryFolder } from '../support/folders.ts'
import { logContract } from './log.contract.ts'

logContract('LMDB log', async (context) => {
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
})
