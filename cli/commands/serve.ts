import type { Command } from 'commander'
import { addListenOptions } from './listen-options.ts'
import { registerRole } from './register-role.ts'

export function registerServe(program: Command): void {
  addListenOptions(registerRole(program, 'serve', 'run the HTTP role alone'))
}
