import type { Registry } from '../registry/registry.ts'
import type { Log } from '../stores/log/log.ts'
import type { MetadataStore } from '../stores/metadata/metadata-store.ts'
import type { ObjectStore } from '../stores/objects/object-store.ts'
import type { OnlineStore } from '../stores/online/online-store.ts'
import type { Tables } from '../stores/tables/tables.ts'

/** What exports and verification work with. */
export interface OfflineContext {
  readonly log: Log
  readonly objects: ObjectStore
  readonly metadata: MetadataStore
  readonly tables: Tables
  readonly registry: Registry
  readonly buckets: number
  readonly partitions: number
  /** Where it is at hand: verification holds stored states against the archive, and exports know until when the flush journal is complete. */
  readonly online?: OnlineStore
}

/**
 * What makes an archived event visible to a row: `arrival < bound`, `event time < bound` (arrival := event time), or `offset < bound`
 * (what a served vector had seen).
 */
export type Visibility = 'arrival' | 'event-time' | 'offset'
