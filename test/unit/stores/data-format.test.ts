import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openEnvironment } from '../../../stores/lmdb-environment.ts'
import { openLmdbLog } from '../../../stores/log/lmdb/open.ts'
import { openLmdbOnline } from '../../../stores/online/lmdb/open.ts'
import { hasErrorCode, temporaryFolder } from '../../support/folders.ts'

test('a data folder of a newer format is refused', async (context) => {
  const path = await temporaryFolder(context)
  const environment = openEnvironment(path)
  environment.putSync(Buffer.from('\0format'), Buffer.from([2]))
  await environment.close()
  await assert.rejects(openLmdbLog({ path, now: () => 0 }), hasErrorCode('TM_DATA_NEWER'))
  await assert.rejects(openLmdbOnline({ path, now: () => 0 }), hasErrorCode('TM_DATA_NEWER'))
})
