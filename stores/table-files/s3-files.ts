import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { extname, matchesGlob } from 'node:path/posix'
import { pipeline } from 'node:stream/promises'
import type { Readable } from 'node:stream'
import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3'
import type { S3Client } from '@aws-sdk/client-s3'
import { failStore } from '../errors.ts'
import { s3Client, s3Failure } from '../objects/s3/client.ts'
import type { S3Place } from '../objects/s3/client.ts'
import { S3_GLOB, s3Glob } from './s3-glob.ts'
import type { S3Glob } from './s3-glob.ts'
import type { FileMark, LocalFile, TableFile, TableFiles } from './table-files.ts'

interface Found extends TableFile {
  readonly client: S3Client
  readonly bucket: string
  readonly key: string
}

/** Objects of buckets; each is read through a copy. `temporaryPath` gives a fresh local path that ends so. */
export class S3Files implements TableFiles {
  readonly #temporaryPath: (suffix: string) => Promise<string>
  readonly #clients = new Map<string, S3Client>()
  readonly #found = new Map<string, Found>()

  constructor(temporaryPath: (suffix: string) => Promise<string>) {
    this.#temporaryPath = temporaryPath
  }

  async find(globs: readonly string[]): Promise<TableFile[]> {
    const found = new Map<string, Found>()
    for (const text of globs) {
      const glob = s3Glob(text)
      if (glob === null) throw failStore('TM_FILE_MISSING', `${text} names no files in S3: expected ${S3_GLOB}`)
      for (const file of await this.#list(glob)) found.set(file.name, file)
    }
    for (const [name, file] of found) this.#found.set(name, file)
    return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ name, mark }) => ({ name, mark }))
  }

  /** An object is there whole, or not at all. */
  async settled({ mark }: TableFile): Promise<FileMark> {
    return mark
  }

  async open({ name, mark }: TableFile): Promise<LocalFile> {
    const found = this.#found.get(name)
    if (found === undefined) throw failStore('TM_FILE_MISSING', `${name} was not found before`)
    const path = await this.#temporaryPath(extname(found.key))
    const release = (): Promise<void> => rm(path, { force: true })
    try {
      const asked = new GetObjectCommand({ Bucket: found.bucket, Key: found.key, IfMatch: mark.etag })
      const { Body } = await found.client.send(asked)
      await pipeline(Body as Readable, createWriteStream(path))
      return { path, release }
    } catch (error) {
      await release()
      throw s3Failure(error, name)
    }
  }

  async close(): Promise<void> {
    for (const client of this.#clients.values()) client.destroy()
    this.#clients.clear()
  }

  async #list({ bucket, keys, ...place }: S3Glob): Promise<Found[]> {
    const client = this.#client(place)
    const [Prefix] = /^[^*?[\]{}!()+@]*/.exec(keys) ?? ['']
    const found: Found[] = []
    let ContinuationToken: string | undefined
    do {
      const page = await client
        .send(new ListObjectsV2Command({ Bucket: bucket, Prefix, ContinuationToken }))
        .catch((error: unknown) => {
          throw s3Failure(error, `the files of bucket ${bucket}`)
        })
      for (const { Key: key = '', Size: bytes = 0, LastModified, ETag } of page.Contents ?? []) {
        if (bytes === 0 || isHidden(key) || !matchesGlob(key, keys)) continue
        const mark = { bytes, modifiedMs: LastModified?.getTime() ?? 0, etag: ETag }
        found.push({ name: `s3://${bucket}/${key}`, mark, client, bucket, key })
      }
      ContinuationToken = page.NextContinuationToken
    } while (ContinuationToken !== undefined)
    return found
  }

  #client(place: S3Place): S3Client {
    const name = JSON.stringify([place.endpoint, place.region])
    const held = this.#clients.get(name) ?? s3Client(place)
    this.#clients.set(name, held)
    return held
  }
}

/** As a shell leaves them out. */
function isHidden(key: string): boolean {
  return key.slice(key.lastIndexOf('/') + 1).startsWith('.')
}
