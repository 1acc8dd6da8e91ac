import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import type { S3Client } from '@aws-sdk/client-s3'
import { failStore } from '../../errors.ts'
import { checkObjectName, folderOfPrefix } from '../object-names.ts'
import type { ObjectInfo, ObjectStore } from '../object-store.ts'
import { s3Address } from './address.ts'
import type { S3Address } from './address.ts'
import { isStatus, s3Client, s3Failure } from './client.ts'

/** Larger files are uploaded in parts of this size. */
const PART_BYTES = 16 << 20
/** Of an object's metadata: who made it, so that a call whose answer was lost knows its own. */
const MAKER = 'tidemark-maker'

export interface S3ObjectsOptions {
  /** See `s3Address`; credentials are found as the AWS SDK does. */
  readonly url: string
  /** Of this host: temporary files, and what engines read that need files. */
  readonly folder: string
}

/** Objects of a bucket; create-only by conditional puts. TM_CONFIG_OBJECTS, TM_OBJECTS_UNAVAILABLE, TM_OBJECTS_REFUSED. */
export async function openS3Objects({ url, folder }: S3ObjectsOptions): Promise<ObjectStore> {
  const address = s3Address(url)
  const { bucket } = address
  const client = s3Client(address)
  try {
    await client.send(new HeadBucketCommand({ Bucket: bucket }))
  } catch (error) {
    client.destroy()
    throw s3Failure(error, `bucket ${bucket}`)
  }
  for (const name of ['tmp', 'copies']) await mkdir(join(folder, name), { recursive: true })
  return new S3ObjectStore(client, address, folder)
}

class S3ObjectStore implements ObjectStore {
  readonly #client: S3Client
  readonly #address: S3Address
  readonly #folder: string

  constructor(client: S3Client, address: S3Address, folder: string) {
    this.#client = client
    this.#address = address
    this.#folder = folder
  }

  create(name: string, bytes: Uint8Array): Promise<boolean> {
    return this.#once(name, (maker) =>
      this.#client.send(new PutObjectCommand({ ...this.#at(name), ...maker, Body: bytes, IfNoneMatch: '*' })),
    )
  }

  async createFromFile(name: string, path: string): Promise<boolean> {
    try {
      const { size } = await stat(path)
      return await this.#once(name, (maker) =>
        size > PART_BYTES
          ? this.#uploadParts(name, path, size, maker)
          : this.#client.send(
              new PutObjectCommand({
                ...this.#at(name),
                ...maker,
                Body: createReadStream(path),
                ContentLength: size,
                IfNoneMatch: '*',
              }),
            ),
      )
    } finally {
      await rm(path, { force: true })
    }
  }

  /** True if `put` made the object; an answer that was lost is asked for. */
  async #once(name: string, put: (maker: { Metadata: Record<string, string> }) => Promise<unknown>): Promise<boolean> {
    const id = randomUUID()
    try {
      checkObjectName(name)
      await put({ Metadata: { [MAKER]: id } })
      return true
    } catch (error) {
      if (!isStatus(error, 412) && !isStatus(error, 409)) throw s3Failure(error, `object ${name}`)
      const found = await this.#head(name)
      if (found === null) return this.#once(name, put)
      return found.maker === id
    }
  }

  async #uploadParts(
    name: string,
    path: string,
    size: number,
    maker: { Metadata: Record<string, string> },
  ): Promise<void> {
    const at = this.#at(name)
    const { UploadId } = await this.#client.send(new CreateMultipartUploadCommand({ ...at, ...maker }))
    const file = await open(path, 'r')
    try {
      const Parts: { ETag: string | undefined; PartNumber: number }[] = []
      for (let from = 0; from < size; from += PART_BYTES) {
        const PartNumber = Parts.length + 1
        const Body = Buffer.alloc(Math.min(PART_BYTES, size - from))
        await file.read(Body, 0, Body.length, from)
        const { ETag } = await this.#client.send(new UploadPartCommand({ ...at, UploadId, PartNumber, Body }))
        Parts.push({ ETag, PartNumber })
      }
      const MultipartUpload = { Parts }
      await this.#client.send(
        new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload, IfNoneMatch: '*' }),
      )
    } catch (error) {
      // Parts of an upload that is not ended are kept, and paid for.
      await this.#client.send(new AbortMultipartUploadCommand({ ...at, UploadId })).catch(() => {})
      throw error
    } finally {
      await file.close()
    }
  }

  async read(name: string): Promise<Uint8Array | null> {
    checkObjectName(name)
    try {
      const { Body } = await this.#client.send(new GetObjectCommand(this.#at(name)))
      return (await Body?.transformToByteArray()) ?? null
    } catch (error) {
      if (isStatus(error, 404)) return null
      throw s3Failure(error, `object ${name}`)
    }
  }

  /** Downloaded once for each content that the object had. */
  async localPath(name: string): Promise<string> {
    const found = await this.#head(name)
    if (found === null) throw this.#missing(name)
    const path = join(this.#folder, 'copies', found.etag, name)
    if ((await stat(path).catch(() => null)) !== null) return path
    const bytes = await this.read(name)
    if (bytes === null) throw this.#missing(name)
    const temporary = await this.temporaryPath('.copy')
    await writeFile(temporary, bytes)
    await mkdir(dirname(path), { recursive: true })
    await rename(temporary, path)
    return path
  }

  async list(prefix: string): Promise<ObjectInfo[]> {
    folderOfPrefix(prefix)
    const { bucket: Bucket, prefix: root } = this.#address
    const found: ObjectInfo[] = []
    for (let ContinuationToken: string | undefined; ;) {
      const page = await this.#client
        .send(new ListObjectsV2Command({ Bucket, Prefix: root + prefix, ContinuationToken }))
        .catch((error: unknown) => {
          throw s3Failure(error, `the objects of ${Bucket}`)
        })
      for (const { Key = '', Size = 0, LastModified } of page.Contents ?? [])
        found.push({ name: Key.slice(root.length), sizeBytes: Size, createdAtMs: LastModified?.getTime() ?? 0 })
      if (page.NextContinuationToken === undefined) break
      ContinuationToken = page.NextContinuationToken
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async delete(name: string): Promise<void> {
    checkObjectName(name)
    try {
      await this.#client.send(new DeleteObjectCommand(this.#at(name)))
    } catch (error) {
      throw s3Failure(error, `object ${name}`)
    }
  }

  async temporaryPath(suffix: string): Promise<string> {
    return join(this.#folder, 'tmp', `${randomUUID()}${suffix}`)
  }

  /** Copies are temporary too: what is needed is downloaded again. */
  async deleteTemporary(epochMs: number): Promise<void> {
    for (const part of ['tmp', 'copies'])
      for (const entry of await readdir(join(this.#folder, part), { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name)
        const found = entry.isFile() ? await stat(path).catch(() => null) : null
        if (found !== null && found.mtimeMs < epochMs) await rm(path, { force: true })
      }
  }

  async close(): Promise<void> {
    this.#client.destroy()
  }

  async #head(name: string): Promise<{ readonly etag: string; readonly maker: string | undefined } | null> {
    checkObjectName(name)
    try {
      const { ETag = '', Metadata } = await this.#client.send(new HeadObjectCommand(this.#at(name)))
      return { etag: ETag.replaceAll(/[^A-Za-z0-9-]/g, ''), maker: Metadata?.[MAKER] }
    } catch (error) {
      if (isStatus(error, 404)) return null
      throw s3Failure(error, `object ${name}`)
    }
  }

  #at(name: string): { Bucket: string; Key: string } {
    return { Bucket: this.#address.bucket, Key: this.#address.prefix + name }
  }

  #missing(name: string): Error {
    return failStore(
      'TM_OBJECT_MISSING',
      `object ${name} is not in s3://${this.#address.bucket}/${this.#address.prefix}: restore it from a backup, or rebuild the archive`,
    )
  }
}
