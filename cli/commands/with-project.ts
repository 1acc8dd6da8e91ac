import type { Command } from 'commander'
import { openProject } from '../open-project.ts'
import type { Project } from '../open-project.ts'

export interface GlobalOptions {
  readonly project: string
  readonly json?: boolean
}

/** Opens the project that the command line names, runs, closes. */
export async function withProject<T>(
  command: Command,
  run: (project: Project, json: boolean) => Promise<T>,
): Promise<T> {
  const { project: directory, json = false } = command.optsWithGlobals<GlobalOptions>()
  const project = await openProject(directory)
  try {
    return await run(project, json)
  } finally {
    await project.close()
  }
}

/** One JSON document with --json, else the lines. */
export function print(json: boolean, document: unknown, lines: readonly string[]): void {
  process.stdout.write(json ? `${JSON.stringify(document)}\n` : `${lines.join('\n')}\n`)
}
