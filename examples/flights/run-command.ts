import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, relative } from 'node:path'
import { paint } from '../../cli/terminal/style.ts'

const MAIN = join(import.meta.dirname, '../../cli/main.ts')

/** A command ended with an exit code other than 0; its own message has been printed. */
export class CommandFailed extends Error {}

/** Arguments that run a `tidemark` command of this checkout on a project. */
export function commandLine(project: string, args: readonly string[]): string[] {
  return [...process.execArgv, MAIN, '--project', project, ...args]
}

/** Prints a command, runs it as anyone would, and shows what it says. */
export async function runCommand(project: string, args: readonly string[], signal: AbortSignal): Promise<void> {
  const shown = args.map((arg) => (arg.startsWith('/') ? relative(process.cwd(), arg) : arg))
  process.stdout.write(`${paint('green', `$ tidemark ${shown.join(' ')}`)}\n`)
  const child = spawn(process.execPath, commandLine(project, args), { stdio: ['ignore', 'inherit', 'inherit'] })
  const stop = (): void => {
    child.kill('SIGTERM')
  }
  signal.addEventListener('abort', stop, { once: true })
  const [code] = (await once(child, 'exit')) as [number | null]
  signal.removeEventListener('abort', stop)
  if (code !== 0) throw new CommandFailed(`tidemark ${shown.join(' ')} ended with exit code ${code}`)
}
