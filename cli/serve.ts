import type { FastifyInstance } from 'fastify'
import { ServedLogger } from '../inference/served-logger.ts'
import { trimServed } from '../inference/served-retention.ts'
import { buildApp } from '../serving/build-app.ts'
import { readExpiredKeys } from '../streams/apply/expired-keys.ts'
import { readFunctionFailures } from '../streams/apply/function-failures.ts'
import { readHeldBack } from '../streams/ingest/held-back.ts'
import type { HeldBackSource } from '../streams/ingest/held-back.ts'
import { readStopped } from '../streams/stopped-partitions.ts'
import type { StoppedPartition } from '../streams/stopped-partitions.ts'
import { keyedLogLag } from './keyed-log-lag.ts'
import { listen } from './listen.ts'
import type { ListenAddress } from './listen.ts'
import type { Project } from './open-project.ts'
import { readOr, ServerReadiness } from './readiness.ts'
import { ALL_WELL } from './roles/supervision.ts'
import type { Unwell } from './roles/supervision.ts'

/** More than may be logged in that time goes in one step. */
const TRIM_EVERY_MS = 10_000

/** Serves features over HTTP; logs a sample of the vectors for verification. */
export async function serve(
  project: Project,
  at: ListenAddress,
  unwell: () => Unwell = () => ALL_WELL,
): Promise<{ app: FastifyInstance; url: string; stop(): Promise<void> }> {
  const { registry, reader, online } = project
  const { metadata } = project
  const readiness = new ServerReadiness(registry, online)
  let failing = false
  const served = new ServedLogger({
    log: project.log,
    ...project.served,
    onError: (error) => {
      if (!failing)
        warn(`served vectors cannot be logged for verification, requests are answered all the same: ${describe(error)}`)
      failing = true
    },
  })
  const app = await buildApp({
    registry,
    reader,
    served,
    clock: project.isClockSimulated ? 'simulated' : 'real',
    readiness: async () => {
      const { reasons, impaired } = await readiness.look()
      const { reasons: down, waiting } = unwell()
      const stopped = await readOr([], () => readStopped(metadata))
      const held = await readOr(new Map(), () => readHeldBack(metadata))
      return {
        reasons: [...reasons, ...down],
        impaired: [...impaired, ...waiting, ...stopped.map(describeStopped), ...withoutSchemas(held)],
      }
    },
    // A metric that cannot be read now is left out: the others are told all the same.
    lag: () => readOr([], () => keyedLogLag(project)),
    expiredKeys: () => readOr({}, () => readExpiredKeys(metadata)),
    stopped: () => readOr([], () => readStopped(metadata)),
    heldBack: async () =>
      [...(await readOr(new Map(), () => readHeldBack(metadata)))].map(([source, { by }]) => ({ source, by })),
    viewFunctionFailures: async () =>
      (await readOr([], () => readFunctionFailures(metadata))).map(({ view, ...failure }) => ({
        name: view,
        ...failure,
      })),
    onFailure: (error, requestId) => warn(`request ${requestId} failed: ${describe(error)}`),
  })
  const url = await listen(app, at)
  const trimming = setInterval(() => {
    trimServed(project.log, project.servedRetention).catch((error: unknown) =>
      warn(`old served vectors cannot be dropped: ${describe(error)}`),
    )
  }, TRIM_EVERY_MS)
  trimming.unref()
  return {
    app,
    url,
    stop: async () => {
      clearInterval(trimming)
      await app.close()
      await served.close()
    },
  }
}

/** Sources whose ingest waits for the schema registry. */
function withoutSchemas(held: ReadonlyMap<string, HeldBackSource>): string[] {
  return [...held].flatMap(([source, cause]) =>
    cause.by === 'schema-registry' ? [`ingest of source ${source} waits: ${cause.reason}`] : [],
  )
}

/** One that stopped keeps the others out of nothing: they are served as fresh as ever, its own entities as of when it stopped. */
function describeStopped({ partition, code, message }: StoppedPartition): string {
  return `partition ${partition} is stopped, its entities are served as they were: ${code}: ${message}`
}

function warn(text: string): void {
  process.stderr.write(`tidemark serve: ${text}\n`)
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
