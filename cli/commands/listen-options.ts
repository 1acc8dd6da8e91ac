import type { Command } from 'commander'
import { parsePort } from './parse-port.ts'

/** What these options give. */
export interface ListenValues {
  readonly port?: number
  readonly host?: string
  readonly trustNetwork?: true
}

/** The options of a command that answers HTTP. */
export function addListenOptions(command: Command): Command {
  return command
    .option('--port <port>', "HTTP port (default: the project's, else 7070)", parsePort)
    .option('--host <host>', "the address to listen on (default: the project's, else 127.0.0.1)")
    .option('--trust-network', 'listen where other machines reach it: all of them may read and write everything')
}
