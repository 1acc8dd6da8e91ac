import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { freshBucket } from '../services/fresh-bucket.ts'
import type { Bucket } from '../services/fresh-bucket.ts'
import { missing } from '../services/installation.ts'
import { TableSchedule } from '../support/table-schedule.ts'

const skip = missing('s3')
const DAY = 86_400_000

const definitions = (schedule: string, files: string): string => `
import { count, entity, featureService, featureView, latest, table, t } from 'tidemark'
export const item = entity('item', { item_id: t.string() })
const prices = table('prices', {
  schema: { item_id: t.string(), price: t.float64(), at: t.timestamp() },
  eventTime: 'at',
  schedule: ${schedule},
  files: '${files}',
})
export const priced = featureView('priced', { entity: item, from: prices, features: { price: latest('price'), n: count().over('lifetime') } })
export const shop = featureService('shop', { features: [priced.all()] })
`

const HEADER = 'item_id,price,at\n'

async function put({ client, name }: Bucket, Key: string, text: string): Promise<void> {
  await client.send(new PutObjectCommand({ Bucket: name, Key, Body: text }))
}

async function read({ platform }: TableSchedule, item_id: string): Promise<unknown[]> {
  await platform.settle()
  const { cells } = await platform.readOne('shop', { item_id })
  return [Number(cells.priced__n.value), cells.priced__price.value]
}

test('new objects of a bucket, each once; what changed is told and not taken', { skip }, async (context) => {
  const bucket = await freshBucket(context)
  const files = `s3://${bucket.name}/in/**/prices-*.csv?endpoint=${bucket.endpoint}`
  const schedule = await TableSchedule.open(context, definitions(`'0 3 * * *'`, files))
  const { platform, runs } = schedule
  await put(bucket, 'in/2024/06/prices-1.csv', `${HEADER}x,1,2024-05-01\n`)
  await put(bucket, 'in/prices-0.csv', `${HEADER}x,2,2024-05-02\ny,5,2024-05-02\n`)
  await put(bucket, 'in/notes-1.csv', 'nothing\n')
  await put(bucket, 'in/.prices-9.csv', `${HEADER}x,9,2024-05-02\n`)
  await put(bucket, 'elsewhere/prices-1.csv', `${HEADER}x,9,2024-05-02\n`)
  platform.clock.ms += DAY
  assert.equal(await schedule.look(), 1)
  const names = ['in/2024/06/prices-1.csv', 'in/prices-0.csv'].map((key) => `s3://${bucket.name}/${key}`)
  assert.deepEqual([runs[0][1].files, runs[0][1].problems], [names, []])
  assert.deepEqual(await read(schedule, 'x'), [2, 2])
  await schedule.restart()
  await put(bucket, 'in/prices-0.csv', `${HEADER}x,7,2024-05-03\ny,5,2024-05-02\n`)
  await put(bucket, 'in/prices-2.csv', `${HEADER}x,3,2024-05-03\n`)
  platform.clock.ms += DAY
  assert.equal(await schedule.look(), 1)
  const [, { files: taken, problems }] = runs[1]
  assert.deepEqual(taken, [`s3://${bucket.name}/in/prices-2.csv`])
  assert.deepEqual(
    problems.map(({ file, code }) => [file, code]),
    [[names[1], 'TM_FILE_CHANGED']],
  )
  assert.deepEqual(await read(schedule, 'x'), [3, 3])
})

test('a snapshot in a bucket that is overwritten brings what changed', { skip }, async (context) => {
  const bucket = await freshBucket(context)
  const files = `s3://${bucket.name}/now.csv?endpoint=${bucket.endpoint}`
  const schedule = await TableSchedule.open(
    context,
    definitions(`{ cron: '0 3 * * *', contents: 'snapshot', deadline: '1h' }`, files),
  )
  const { platform, runs } = schedule
  await put(bucket, 'now.csv', `${HEADER}x,1,2024-05-01\ny,5,2024-05-01\n`)
  platform.clock.ms += DAY
  assert.equal(await schedule.look(), 1)
  await put(bucket, 'now.csv', `${HEADER}x,2,2024-05-02\ny,5,2024-05-01\n`)
  platform.clock.ms += DAY
  assert.equal(await schedule.look(), 1)
  assert.deepEqual(
    runs.map(([, { accepted, vanished }]) => [accepted, vanished]),
    [
      [2, 0],
      [1, 1],
    ],
  )
  assert.deepEqual(
    [await read(schedule, 'x'), await read(schedule, 'y')],
    [
      [2, 2],
      [1, 5],
    ],
  )
  await bucket.client.send(new DeleteObjectCommand({ Bucket: bucket.name, Key: 'now.csv' }))
  platform.clock.ms += DAY
  assert.equal(await schedule.look(), 1)
  assert.deepEqual([runs[2][1].accepted, runs[2][1].problems], [0, []])
})
