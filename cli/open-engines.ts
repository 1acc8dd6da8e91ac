import { join, resolve } from 'node:path'
import { openLmdbLog } from '../stores/log/lmdb/open.ts'
import type { Log } from '../stores/log/log.ts'
import { ConfluentRegistry } from '../stores/schemas/confluent-registry.ts'
import type { SchemaRegistry } from '../stores/schemas/schema-registry.ts'
import type { MetadataStore } from '../stores/metadata/metadata-store.ts'
import { openSqliteMetadata } from '../stores/metadata/sqlite/open.ts'
import { openFileObjects } from '../stores/objects/files/open.ts'
import type { ObjectStore } from '../stores/objects/object-store.ts'
import { openLmdbOnline } from '../stores/online/lmdb/open.ts'
import type { OnlineStore } from '../stores/online/online-store.ts'
import { sourceOfTopic } from '../streams/stream-context.ts'

/*
 * The stores of a project by its settings (see `project-settings.ts`, which has checked them): 'embedded' or nothing is a part of the data folder. Clients of servers are loaded where they are used:
 * each takes some 100 ms.
 */

/** Brokers tell the time of appends; `now` is what the deployment's own work goes by. */
export async function openLog(url: string = 'embedded', dataFolder: string, now: () => number): Promise<Log> {
  if (url === 'embedded') return openLmdbLog({ path: join(dataFolder, 'log'), now })
  const { openKafkaLog } = await import('../stores/log/kafka/open.ts')
  return openKafkaLog({ url, now, groupOf: sourceOfTopic })
}

/** Redis tells the time itself: one clock for all who share it. */
export async function openOnline(
  url: string = 'embedded',
  dataFolder: string,
  now: () => number,
): Promise<OnlineStore> {
  if (url === 'embedded') return openLmdbOnline({ path: join(dataFolder, 'online'), now })
  const { openRedisOnline } = await import('../stores/online/redis/open.ts')
  return openRedisOnline({ url })
}

export async function openMetadata(url: string = 'embedded', dataFolder: string): Promise<MetadataStore> {
  if (url === 'embedded') return openSqliteMetadata(join(dataFolder, 'metadata.sqlite'))
  const { openPostgresMetadata } = await import('../stores/metadata/postgres/open.ts')
  return openPostgresMetadata(url)
}

export async function openObjects(place: string = 'embedded', dataFolder: string): Promise<ObjectStore> {
  if (place.startsWith('s3://')) {
    const { openS3Objects } = await import('../stores/objects/s3/open.ts')
    return openS3Objects({ url: place, folder: join(dataFolder, 's3') })
  }
  return openFileObjects({ path: place === 'embedded' ? join(dataFolder, 'objects') : resolve(place) })
}

export function openSchemas(address: string | undefined): SchemaRegistry | null {
  return address === undefined ? null : new ConfluentRegistry(address)
}
