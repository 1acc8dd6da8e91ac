import type { ListenAddress } from '../listen.ts'
import type { Project } from '../open-project.ts'

/** What the command line says of where a process listens. */
export interface ListenFlags {
  /** Of HTTP; null: the project's. */
  readonly port: number | null
  /** Default: the project's. */
  readonly host?: string
  /** Default: the project's. */
  readonly trustNetwork?: boolean
}

/** Where HTTP is answered: as the command line says, else as the project's settings do. */
export function listenAddress(
  project: Pick<Project, 'host' | 'port' | 'trustNetwork'>,
  flags: ListenFlags,
): ListenAddress {
  return {
    host: flags.host ?? project.host,
    port: flags.port ?? project.port,
    trustNetwork: flags.trustNetwork ?? project.trustNetwork,
    portSetting: '--port, TIDEMARK_PORT, or `port` in tidemark.config.ts',
  }
}

/** The same as arguments for another process. */
export function listenArguments({ port, host, trustNetwork }: ListenFlags): string[] {
  return [
    ...(port === null ? [] : ['--port', String(port)]),
    ...(host === undefined ? [] : ['--host', host]),
    ...(trustNetwork === true ? ['--trust-network'] : []),
  ]
}
