import { existsSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { failCli } from './errors.ts'

/** What makes a folder a project, wherever in it a command is run. */
const MARKS = ['features', 'tidemark.config.ts']

/** The folder that is named, else the nearest project at or above the working folder. TM_PROJECT_MISSING. */
export function projectFolder(named: string | undefined): string {
  if (named !== undefined) return named
  const start = process.cwd()
  for (let folder = start; ; folder = dirname(folder)) {
    if (MARKS.some((mark) => existsSync(join(folder, mark)))) return relative(start, folder) || '.'
    if (dirname(folder) === folder) break
  }
  // Data alone: a project whose definitions are not here, such as on a server.
  if (existsSync(join(start, '.tidemark'))) return '.'
  throw failCli(
    'TM_PROJECT_MISSING',
    `neither ${start} nor a folder above it is a project (features/ or tidemark.config.ts): go into one, name one with --project, or make one with \`tidemark init my-features\``,
  )
}
