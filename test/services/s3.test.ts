import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { missing } from './installation.ts'
import { startS3 } from './s3.ts'
import { sharedServer } from './shared-server.ts'
import type { SharedAddresses } from './shared-server.ts'
import { staysSilent } from './stays-silent.ts'

const skip = missing('s3')

function connect({ url, credentials }: SharedAddresses['s3']): S3Client {
  return new S3Client({ endpoint: url, credentials, region: 'us-east-1', forcePathStyle: true })
}

async function createBucket(client: S3Client): Promise<string> {
  const Bucket = randomUUID()
  await client.send(new CreateBucketCommand({ Bucket }))
  return Bucket
}

const refused = { name: 'PreconditionFailed' }

test('s3: objects, ranges and pages of a listing', { skip }, async () => {
  const client = connect(await sharedServer('s3'))
  const Bucket = await createBucket(client)
  for (const Key of ['p/1', 'p/2', 'p/3', 'q/4'])
    await client.send(new PutObjectCommand({ Bucket, Key, Body: `body of ${Key}` }))
  const part = await client.send(new GetObjectCommand({ Bucket, Key: 'p/2', Range: 'bytes=-3' }))
  assert.equal(await part.Body?.transformToString(), 'p/2')
  const pages: (string | undefined)[][] = []
  for (let token: string | undefined; ;) {
    const page = await client.send(
      new ListObjectsV2Command({ Bucket, Prefix: 'p/', MaxKeys: 2, ContinuationToken: token }),
    )
    pages.push((page.Contents ?? []).map(({ Key }) => Key))
    token = page.NextContinuationToken
    if (token === undefined) break
  }
  assert.deepEqual(pages, [['p/1', 'p/2'], ['p/3']])
})

test('s3: of many who create a key one succeeds; a put on another version is refused', { skip }, async () => {
  const client = connect(await sharedServer('s3'))
  const Bucket = await createBucket(client)
  for (let round = 0; round < 20; round++) {
    const Key = `race-${round}`
    const puts = Array.from({ length: 8 }, (_, i) =>
      client.send(new PutObjectCommand({ Bucket, Key, Body: Buffer.alloc(50_000, i), IfNoneMatch: '*' })),
    )
    const winners = (await Promise.allSettled(puts)).filter(({ status }) => status === 'fulfilled')
    assert.equal(winners.length, 1)
  }
  const { ETag } = await client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'one' }))
  await client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'two', IfMatch: ETag }))
  await assert.rejects(client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'three', IfMatch: ETag })), refused)
  const read = await client.send(new GetObjectCommand({ Bucket, Key: 'k' }))
  assert.equal(await read.Body?.transformToString(), 'two')
})

test('s3: an upload in parts is one object, and can be conditional', { skip }, async () => {
  const client = connect(await sharedServer('s3'))
  const Bucket = await createBucket(client)
  const upload = async (): Promise<void> => {
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'big' }))
    const parts = [Buffer.alloc(5 << 20, 1), Buffer.alloc(1000, 2)]
    const Parts = []
    for (const [i, Body] of parts.entries()) {
      const part = { Bucket, Key: 'big', UploadId, PartNumber: i + 1, Body }
      Parts.push({ PartNumber: i + 1, ETag: (await client.send(new UploadPartCommand(part))).ETag })
    }
    const whole = { Bucket, Key: 'big', UploadId, MultipartUpload: { Parts }, IfNoneMatch: '*' }
    await client.send(new CompleteMultipartUploadCommand(whole))
  }
  await upload()
  const read = await client.send(new GetObjectCommand({ Bucket, Key: 'big' }))
  const bytes = Buffer.from((await read.Body?.transformToByteArray()) ?? [])
  assert.deepEqual(bytes, Buffer.concat([Buffer.alloc(5 << 20, 1), Buffer.alloc(1000, 2)]))
  await assert.rejects(upload(), refused)
})

test(
  's3: paused it answers nothing until it is resumed; killed it comes back empty on the same address',
  { skip },
  async (t) => {
    const server = await startS3()
    t.after(server.stop)
    const client = connect(server)
    const Bucket = await createBucket(client)
    await client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'v' }))
    await server.process.pause()
    const answer = client.send(new GetObjectCommand({ Bucket, Key: 'k' }))
    await staysSilent(answer)
    server.process.resume()
    assert.equal(await (await answer).Body?.transformToString(), 'v')
    await server.process.restart()
    await assert.rejects(client.send(new GetObjectCommand({ Bucket, Key: 'k' })), { name: 'NoSuchBucket' })
  },
)
