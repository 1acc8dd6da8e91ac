import { randomUUID } from 'node:crypto'
import type { TestContext } from 'node:test'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { openS3Objects } from '../../stores/objects/s3/open.ts'
import type { ObjectStore } from '../../stores/objects/object-store.ts'
import { temporaryFolder } from '../support/folders.ts'
import { sharedServer } from './shared-server.ts'

export interface Bucket {
  readonly name: string
  /** Of the server. */
  readonly endpoint: string
  readonly client: S3Client
  /** The store of objects below a prefix. */
  readonly open: () => Promise<ObjectStore>
}

/** A bucket of its own on the shared server; its credentials are in the environment from then on. */
export async function freshBucket(context: TestContext): Promise<Bucket> {
  const { url: endpoint, credentials } = await sharedServer('s3')
  process.env.AWS_ACCESS_KEY_ID = credentials.accessKeyId
  process.env.AWS_SECRET_ACCESS_KEY = credentials.secretAccessKey
  const name = `b-${randomUUID()}`
  const client = new S3Client({ endpoint, forcePathStyle: true, region: 'us-east-1', credentials })
  await client.send(new CreateBucketCommand({ Bucket: name }))
  const folder = await temporaryFolder(context)
  const opened: ObjectStore[] = []
  context.after(async () => {
    for (const store of opened) await store.close()
    client.destroy()
  })
  const open = async (): Promise<ObjectStore> => {
    const store = await openS3Objects({ url: `s3://${name}/some/where?endpoint=${endpoint}`, folder })
    opened.push(store)
    return store
  }
  return { name, endpoint, client, open }
}
