import type { Kysely } from 'kysely'
import type { Leases } from './leases.ts'
import type { MetadataTables } from './tables.ts'

/** The metadata port: a Kysely database whose tables every adapter migrates to the same version, and small durable checkpoints. */
export interface MetadataStore {
  readonly db: Kysely<MetadataTables>
  /** A checkpoint (JSON-clean), or null. */
  readProgress<T>(scope: string, key: string): Promise<T | null>
  writeProgress(scope: string, key: string, value: unknown): Promise<void>
  /** All checkpoints of a scope, by key. */
  listProgress<T>(scope: string): Promise<ReadonlyMap<string, T>>
  /** Another number once another process has changed something. Cheap. */
  version(): Promise<number>
  readonly leases: Leases
  close(): Promise<void>
}
