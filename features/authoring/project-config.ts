/** `tidemark.config.ts`: the same settings as the environment's, which win. */
export interface ProjectConfig {
  readonly log?: string
  /** `redis://`, `rediss://`, `redis-cluster://host:port,host:port`, `redis-sentinel://host:port/primary-name`, or 'embedded', the default. */
  readonly online?: string
  /** `postgres://user:password@host:port/database`, or 'embedded', the default. */
  readonly metadata?: string
  /** `s3://bucket/prefix?region=…&endpoint=…`, a folder, or 'embedded', the default. */
  readonly objects?: string
  /** `http://host:port` or `https://user:password@host:port/path`: a schema registry with Confluent's API, for sources whose records name their schemas. Default: none. */
  readonly schemaRegistry?: string
  /** Where `serve` and `start` answer HTTP: a name or an address, default '127.0.0.1'. Any that other machines reach is refused unless `trustNetwork` is true. */
  readonly host?: string
  /** Of HTTP: default 7070; 0: any free one. */
  readonly port?: number
  /** true: whoever reaches `host` may read and write everything, as Tidemark asks nobody who they are. */
  readonly trustNetwork?: boolean
  /** Where `stream` and `archive` alone answer `/healthz`, `/readyz` and `/metrics`, on `host`; 0: any free one. Default: nowhere; under `start` HTTP has theirs too. */
  readonly metricsPort?: number
  readonly buckets?: number
  readonly partitions?: number
  /** Simulated clock (embedded stores only): starts at `from` and runs `rate` times as fast as real time. */
  readonly clock?: { readonly from: string; readonly rate: number }
  /** A message that is appended to a log has no more bytes than this; an event that alone is larger is a dead letter. Default 1,000,000: what Kafka takes by default. */
  readonly maxMessageBytes?: number
  /** Ingest waits while a partition of a keyed log has more megabytes than this that are not applied, or not archived, yet: default 64. */
  readonly maxBacklogMegabytes?: number
  /** How long the states of a view version are kept that no name reads any more, as a duration: default '7d'. */
  readonly stateGrace?: string
  /** `--as-of served` exports are possible for times up to this long ago, as a duration. Default: for ever. */
  readonly flushJournal?: { readonly keep?: string }
  /**
   * Which served vectors are logged for `tidemark verify`: the share of entity keys (0…1, default 1), and rows a second at most (default 50): under more
   * load fewer keys are logged, each of them fully.
   */
  readonly served?: {
    readonly share?: number
    readonly rowsPerSecondMax?: number
    /** How long they are kept, as a duration: default '30d'. */
    readonly keep?: string
    /** And how many megabytes of them at most, about: default 10,000. */
    readonly keepMegabytes?: number
  }
}

/** Types a project's configuration: `export default defineConfig({ … })`. */
export function defineConfig(config: ProjectConfig): ProjectConfig {
  return Object.freeze({ ...config })
}
