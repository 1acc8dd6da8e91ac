import type { Command } from 'commander'
import { parsePort } from './parse-port.ts'
import { registerRole } from './register-role.ts'

export function registerServe(program: Command): void {
  registerRole(program, 'serve', 'run the HTTP role alone').option(
    '--port <port>',
    "HTTP port on 127.0.0.1 (default: the project's, else 7070)",
    parsePort,
  )
}
