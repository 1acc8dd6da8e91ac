import { join } from 'node:path'
import { S3_FOLDER } from './installation.ts'
import { reservePort } from './ports.ts'
import { ServerProcess } from './server-process.ts'
import { removeServiceFolder, serviceFolder } from './service-folder.ts'

export interface S3Server {
  readonly url: string
  /** Any are taken. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
  readonly process: ServerProcess
  readonly stop: () => Promise<void>
}

/** An S3-compatible server (moto), path-style addresses. Its objects are in memory: pause and resume keep them, kill -9 does not. */
export async function startS3(): Promise<S3Server> {
  const folder = serviceFolder('s3')
  const port = await reservePort()
  const url = `http://127.0.0.1:${port}`
  const process = new ServerProcess({
    name: 's3',
    command: join(S3_FOLDER, 'venv', 'bin', 'python'),
    args: [join(import.meta.dirname, 's3', 'server.py'), String(port)],
    logFile: join(folder, 'server.log'),
    ready: async () => {
      const answer = await fetch(url, { signal: AbortSignal.timeout(5000) })
      if (!answer.ok) throw new Error(`${url} answers ${answer.status}`)
    },
  })
  const stop = async (): Promise<void> => {
    await process.kill()
    removeServiceFolder(folder)
  }
  try {
    await process.start()
  } catch (error) {
    await stop()
    throw error
  }
  return { url, credentials: { accessKeyId: 'tidemark', secretAccessKey: 'tidemark' }, process, stop }
}
