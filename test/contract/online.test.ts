import type { TestContext } from 'node:test'
import { openLmdbOnline } from '../../stores/online/lmdb/open.ts'
import type { OnlineStore } from '../../stores/online/online-store.ts'
import { temporaryFolder } from '../support/folders.ts'
import { onlineContract } from './online.contract.ts'
import type { OnlineFixture } from './online.contract.ts'
import { onlineRewriteContract } from './online-rewrite.contract.ts'

const lmdb = async (context: TestContext): Promise<OnlineFixture> => {
  const path = await temporaryFolder(context)
  let now = 1_700_000_000_000
  const opened: OnlineStore[] = []
  context.after(() => Promise.all(opened.map((store) => store.close())))
  return {
    async open() {
      const store = await openLmdbOnline({ path, now: () => now })
      opened.push(store)
      return store
    },
    setNow(epochMs) {
      now = epochMs
    },
  }
}

onlineContract('LMDB online store', lmdb)
onlineRewriteContract('LMDB online store', lmdb)
