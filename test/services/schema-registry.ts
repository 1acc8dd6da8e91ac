import { globSync } from 'node:fs'
import { join } from 'node:path'
import { findJava, installed, javaFlags, REGISTRY_FOLDER } from './installation.ts'
import { reservePort } from './ports.ts'
import { ServerProcess } from './server-process.ts'
import { removeServiceFolder, serviceFolder } from './service-folder.ts'

export interface SchemaRegistryServer {
  /** The address of the Confluent API. */
  readonly url: string
  readonly process: ServerProcess
  readonly stop: () => Promise<void>
}

/** Apicurio Registry with the Confluent API; schemas are kept in a file (H2) and live through kill -9. */
export async function startSchemaRegistry(
  options: { readonly extraJavaFlags?: readonly string[]; readonly heapMiB?: number } = {},
): Promise<SchemaRegistryServer> {
  const { extraJavaFlags = [], heapMiB = 192 } = options
  const folder = serviceFolder('registry')
  const port = await reservePort()
  const url = `http://127.0.0.1:${port}/apis/ccompat/v7`
  const process = new ServerProcess({
    name: 'schema registry',
    command: installed(findJava(), 'Java'),
    args: [
      ...javaFlags(REGISTRY_FOLDER, heapMiB),
      ...extraJavaFlags,
      '-Dquarkus.http.host=127.0.0.1',
      `-Dquarkus.http.port=${port}`,
      `-Dapicurio.datasource.url=jdbc:h2:file:${join(folder, 'schemas')};WRITE_DELAY=0`,
      '-jar',
      installed(globSync(join(REGISTRY_FOLDER, '*-runner.jar'))[0], 'Apicurio Registry'),
    ],
    logFile: join(folder, 'server.log'),
    ready: async () => {
      const answer = await fetch(`${url}/subjects`, { signal: AbortSignal.timeout(5000) })
      if (!answer.ok) throw new Error(`${url}/subjects answers ${answer.status}`)
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
  return { url, process, stop }
}
