import { createHmac, randomBytes } from 'node:crypto'
import type { MetadataStore } from '../stores/metadata/metadata-store.ts'

/** Progress scopes: the salt (key ''), forgotten keys by hash, and by `<keyed log>/<hash>` the other entities whose events went with them. */
const SALT = 'forgotten-salt'
const KEYS = 'forgotten-key'
const TOUCHED = 'forgotten-touched'

/** What was removed with a key, over all times that it was forgotten. */
export interface Forgetting {
  readonly entity: string
  /** Epoch ms, the last time. */
  readonly at: number
  /** Whether it came to its end. */
  readonly isDone: boolean
  readonly removed: Readonly<Record<string, number>>
}

/** An entity that lost events: vectors served from positions below may differ from what the archive gives now. */
export interface TouchedEntity {
  readonly belowOffset: number
  readonly at: number
}

/**
 * Which keys were forgotten, without naming them: HMAC-SHA256 under a salt of the deployment. Who has the metadata store can test a guess, so a key that can be guessed
 * can be found to have been forgotten; nothing else of it is kept.
 */
export class ForgottenKeys {
  readonly #metadata: MetadataStore
  readonly #salt: Buffer

  private constructor(metadata: MetadataStore, salt: Buffer) {
    this.#metadata = metadata
    this.#salt = salt
  }

  static async open(metadata: MetadataStore): Promise<ForgottenKeys> {
    const held = await metadata.readProgress<string>(SALT, '')
    if (held !== null) return new ForgottenKeys(metadata, Buffer.from(held, 'hex'))
    const salt = randomBytes(32)
    await metadata.writeProgress(SALT, '', salt.toString('hex'))
    return new ForgottenKeys(metadata, salt)
  }

  /** Of an entity's key bytes. */
  hash(entity: string, key: Uint8Array): string {
    return createHmac('sha256', this.#salt).update(`${entity}\0`).update(key).digest('hex')
  }

  async of(hash: string): Promise<Forgetting | null> {
    return this.#metadata.readProgress<Forgetting>(KEYS, hash)
  }

  async write(hash: string, forgetting: Forgetting): Promise<void> {
    await this.#metadata.writeProgress(KEYS, hash, forgetting)
  }

  async list(): Promise<Forgetting[]> {
    return [...(await this.#metadata.listProgress<Forgetting>(KEYS)).values()]
  }

  async writeTouched(keyedLog: string, entity: string, key: Uint8Array, touched: TouchedEntity): Promise<void> {
    await this.#metadata.writeProgress(TOUCHED, `${keyedLog}/${this.hash(entity, key)}`, touched)
  }

  /** By `<keyed log>/<hash>`. */
  async listTouched(): Promise<ReadonlyMap<string, TouchedEntity>> {
    return this.#metadata.listProgress<TouchedEntity>(TOUCHED)
  }
}
