import type { FastifyInstance } from 'fastify'
import { appendServed } from '../inference/served-log.ts'
import type { ServedRow } from '../inference/served-log.ts'
import { buildApp } from '../serving/build-app.ts'
import { failCli } from './errors.ts'
import type { Project } from './open-project.ts'

const LOGGED_ROWS_MAX = 200
const LOG_EVERY_MS = 1000

/** Serves features over HTTP on the loopback address; logs at most 200 vectors a second for verification. */
export async function serve(
  project: Project,
  port: number,
  unwell: () => readonly string[] = () => [],
): Promise<{ app: FastifyInstance; url: string; stop(): Promise<void> }> {
  let pending: ServedRow[] = []
  const flush = async (): Promise<void> => {
    const rows = pending
    pending = []
    if (rows.length > 0) await appendServed(project.log, rows)
  }
  const app = await buildApp({
    registry: project.registry,
    reader: project.reader,
    logServed: (rows) => pending.push(...rows.slice(0, Math.max(0, LOGGED_ROWS_MAX - pending.length))),
    unready: async () => [
      ...((await project.registry.services()).length === 0 ? ['no service is registered: run `tidemark apply`'] : []),
      ...unwell(),
    ],
  })
  const url = await listen(app, port)
  const timer = setInterval(() => void flush(), LOG_EVERY_MS)
  return {
    app,
    url,
    stop: async () => {
      clearInterval(timer)
      await app.close()
      await flush()
    },
  }
}

async function listen(app: FastifyInstance, port: number): Promise<string> {
  try {
    return await app.listen({ host: '127.0.0.1', port })
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'EADDRINUSE') throw error
    throw failCli(
      'TM_PORT_IN_USE',
      `port ${port} is taken by another process: stop it, or choose another with --port (in the flights example: PORT=${port + 1} npm start)`,
      { cause: error },
    )
  }
}
