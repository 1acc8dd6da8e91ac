/** `tidemark.config.ts`: the same settings as the environment's, which win. */
export interface ProjectConfig {
  readonly log?: string
  readonly online?: string
  readonly metadata?: string
  readonly objects?: string
  readonly port?: number
  readonly buckets?: number
  readonly partitions?: number
  /** Simulated clock (embedded stores only): starts at `from` and runs `rate` times as fast as real time. */
  readonly clock?: { readonly from: string; readonly rate: number }
}

/** Types a project's configuration: `export default defineConfig({ … })`. */
export function defineConfig(config: ProjectConfig): ProjectConfig {
  return Object.freeze({ ...config })
}
