import type { Command } from 'commander'
import { openProject } from '../open-project.ts'
import type { Project } from '../open-project.ts'
import { projectFolder } from '../project-folder.ts'
import { Stopped } from '../stopped.ts'
import { stopSignal } from '../stop-signal.ts'
import { createProgress } from '../terminal/progress.ts'
import type { Progress } from '../terminal/progress.ts'
import { terminalWidth, wrapText } from '../terminal/wrap.ts'

export interface GlobalOptions {
  readonly project?: string
  readonly json?: boolean
}

/** Opens the project that the command line names, runs, closes. */
export async function withProject<T>(
  command: Command,
  run: (project: Project, json: boolean) => Promise<T>,
): Promise<T> {
  const { project: directory, json = false } = command.optsWithGlobals<GlobalOptions>()
  const project = await openProject(projectFolder(directory))
  try {
    return await run(project, json)
  } finally {
    await project.close()
  }
}

/** What a command that may take a while works with. */
export interface Work {
  readonly project: Project
  readonly json: boolean
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
  /** A progress line on a terminal, cleared when the work ends or the next one begins. */
  readonly progress: (label: string, unit: string) => Progress
}

/** As `withProject`, for commands that may take a while: Ctrl-C aborts `signal`, and progress shows on a terminal. */
export async function withWork(command: Command, run: (work: Work) => Promise<void>): Promise<void> {
  const signal = stopSignal()
  let line: Progress | null = null
  await withProject(command, async (project, json) => {
    const progress = (label: string, unit: string): Progress => {
      line?.end()
      line = createProgress(label, unit, json)
      return line
    }
    try {
      await run({ project, json, signal, progress })
    } finally {
      line?.end()
    }
  })
}

/** Throws `Stopped` with the message if Ctrl-C was pressed. */
export function checkStopped(signal: AbortSignal, message: () => string): void {
  if (signal.aborted) throw new Stopped(message())
}

/** Runs a change of history while no role works and nobody reads the archive. `Stopped` if Ctrl-C is pressed before it begins. */
export async function changeHistory<T>({ project, signal }: Work, run: () => Promise<T>): Promise<T> {
  const lock = await project.gates.holdAlone(signal, () =>
    process.stderr.write('waiting for exports and verifications that read the archive\n'),
  )
  if (lock === null) throw new Stopped('nothing was changed.')
  try {
    checkStopped(signal, () => 'nothing was changed.')
    return await run()
  } finally {
    lock.release()
  }
}

/** One JSON document with --json, else the lines; on a terminal those of words are broken between words, commands (indented) never. */
export function print(json: boolean, document: unknown, lines: readonly string[]): void {
  const width = terminalWidth(process.stdout)
  const wrapped = lines.flatMap((line) => (line.startsWith(' ') ? [line] : wrapText(line, width)))
  process.stdout.write(json ? `${JSON.stringify(document)}\n` : `${wrapped.join('\n')}\n`)
}
