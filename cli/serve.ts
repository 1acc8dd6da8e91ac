import type { FastifyInstance } from 'fastify'
import { unreadyReasons } from '../inference/readiness.ts'
import { ServedLogger } from '../inference/served-logger.ts'
import { trimServed } from '../inference/served-retention.ts'
import { buildApp } from '../serving/build-app.ts'
import { readExpiredKeys } from '../streams/apply/expired-keys.ts'
import { readFunctionFailures } from '../streams/apply/function-failures.ts'
import { readHeldBack } from '../streams/ingest/held-back.ts'
import { readStopped } from '../streams/stopped-partitions.ts'
import type { StoppedPartition } from '../streams/stopped-partitions.ts'
import { failCli } from './errors.ts'
import { keyedLogLag } from './keyed-log-lag.ts'
import type { Project } from './open-project.ts'

/** More than may be logged in that time goes in one step. */
const TRIM_EVERY_MS = 10_000

/** Serves features over HTTP on the loopback address; logs a sample of the vectors for verification. */
export async function serve(
  project: Project,
  port: number,
  unwell: () => readonly string[] = () => [],
): Promise<{ app: FastifyInstance; url: string; stop(): Promise<void> }> {
  const { registry, reader, online } = project
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
    unready: async () => [...(await unreadyReasons(registry, online)), ...unwell()],
    impaired: async () => (await readStopped(project.metadata)).map(describeStopped),
    lag: () => keyedLogLag(project),
    expiredKeys: () => readExpiredKeys(project.metadata),
    stopped: () => readStopped(project.metadata),
    heldBack: async () => [...(await readHeldBack(project.metadata))].map(([source, { by }]) => ({ source, by })),
    viewFunctionFailures: async () =>
      (await readFunctionFailures(project.metadata)).map(({ view, ...failure }) => ({ name: view, ...failure })),
    onFailure: (error, requestId) => warn(`request ${requestId} failed: ${describe(error)}`),
  })
  const url = await listen(app, port)
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

async function listen(app: FastifyInstance, port: number): Promise<string> {
  try {
    return await app.listen({ host: '127.0.0.1', port })
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'EADDRINUSE') throw error
    throw failCli(
      'TM_PORT_IN_USE',
      `port ${port} is taken by another process: stop it, or choose another with --port, or \`port\` in tidemark.config.ts`,
      { cause: error },
    )
  }
}
