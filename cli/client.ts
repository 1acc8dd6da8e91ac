import { randomUUID } from 'node:crypto'
import type { StatusName } from '../features/aggregation/result-column.ts'
import type { FeatureVector, ServiceDefinition } from '../features/authoring/feature-service.ts'
import type { Interval } from '../features/kernel/window-interval.ts'
import type { Value } from '../features/plan/field-type.ts'
import { vectorNames } from '../inference/service-layout.ts'
import { ServedLogger } from '../inference/served-logger.ts'
import type { Stamp } from '../inference/view-entry.ts'
import { answer } from '../serving/answer.ts'
import { ServiceNames } from '../serving/service-names.ts'
import { failCli } from './errors.ts'
import { openProject } from './open-project.ts'

/** The package `tidemark/client`: reads features in process, from a project's own stores, with the same result as over HTTP. */

export interface FeatureRow<V> {
  /** Values by full name. Do not change what they hold: other answers may share it. */
  readonly vector: V
  /** The same values in the order of `features`. */
  readonly values: readonly Value[]
  readonly statuses: readonly StatusName[]
  /** Epoch ms. */
  readonly evaluatedAt: number
  readonly stamps: readonly Stamp[]
  /** If asked for, in the order of `features`: events counted at from ≤ τ < to, epoch ms; null: no window (lifetime, latest, request, derived). */
  readonly intervals?: readonly (Interval | null)[]
}

export interface FeatureAnswer<V> {
  readonly service: string
  /** SHA-256 hex. */
  readonly version: string
  readonly features: readonly string[]
  readonly rows: readonly FeatureRow<V>[]
  /** The body that an HTTP answer with these rows has, byte for byte. */
  toJson(): string
}

type Fields = Readonly<Record<string, unknown>>
/** What a service's vectors are: known from its definition, else values by name. */
type VectorOf<S> = S extends ServiceDefinition ? FeatureVector<S> : Readonly<Record<string, Value>>

export interface FeatureClient {
  /**
   * Vectors of entities, in order: `service` is a definition or a name, `entities` are rows of key columns (null: features of its views read MISSING),
   * `request` one row of request fields for each. int64 are bigints, timestamps epoch ms, bytes Uint8Array. The sampled log of served vectors has them too.
   * TM_UNKNOWN_SERVICE, TM_ENTITY_KEY, TM_REQUEST_FIELD, TM_UNKNOWN_FIELD, TM_SERVICE_NOT_READY.
   */
  features<S extends ServiceDefinition | string>(
    service: S,
    entities: readonly Fields[],
    request?: readonly Fields[],
    options?: { readonly intervals?: boolean },
  ): Promise<FeatureAnswer<VectorOf<S>>>
  close(): Promise<void>
}

export interface ClientOptions {
  /** The project's folder; default: the working folder. */
  readonly project?: string
}

/** Opens a project's stores for reading features. Works beside a running `tidemark start`. */
export async function openClient({ project: folder = '.' }: ClientOptions = {}): Promise<FeatureClient> {
  const project = await openProject(folder)
  const names = new ServiceNames(project.registry)
  const served = new ServedLogger({ log: project.log, ...project.served })
  const clock = project.isClockSimulated ? 'simulated' : 'real'
  let closed = false
  return {
    features: async <S extends ServiceDefinition | string>(
      definition: S,
      entities: readonly Fields[],
      request: readonly Fields[] = [],
      { intervals = false }: { readonly intervals?: boolean } = {},
    ) => {
      if (request.length !== 0 && request.length !== entities.length)
        throw failCli(
          'TM_USAGE',
          `request has ${request.length} rows, entities ${entities.length}: give one for each entity`,
        )
      const name = typeof definition === 'string' ? definition : definition.name
      const { service, vectors } = await names.read(project.reader, name, entities, request)
      served.offer(randomUUID(), vectors)
      const features = vectorNames(service)
      const rows = vectors.map(({ values, statuses, evaluatedAt, stamps, intervals: spans }) => ({
        // The registry checked that these are the names and types of the definition.
        vector: Object.fromEntries(features.map((feature, i) => [feature, values[i]])) as VectorOf<S>,
        values,
        statuses,
        evaluatedAt,
        stamps,
        ...(intervals ? { intervals: spans } : {}),
      }))
      const { version, plan } = service
      return {
        service: plan.name,
        version,
        features,
        rows,
        toJson: () => answer(service, vectors, { clock, intervals }),
      }
    },
    close: async () => {
      if (closed) return
      closed = true
      await served.close()
      await project.close()
    },
  }
}
