import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import { failStore } from '../../stores/errors.ts'
import { produce } from '../../streams/produce.ts'
import { settle } from '../settle.ts'
import { describeAccepted } from './describe-accepted.ts'
import { print, withProject } from './with-project.ts'

export function registerProduce(program: Command): void {
  program
    .command('produce <source> <file>')
    .description('live events: JSON lines from a file, or - for standard input')
    .action(async (source: string, file: string, _options: unknown, command: Command) => {
      await withProject(command, async (project, json) => {
        const result = await produce(project, source, readLines(file))
        await settle(project)
        print(json, result, describeAccepted(result))
        if (result.accepted === 0 && result.refused > 0) process.exitCode = 1
      })
    })
}

async function* readLines(file: string): AsyncIterable<string> {
  const input = file === '-' ? process.stdin : createReadStream(file, 'utf8')
  try {
    yield* createInterface({ input, crlfDelay: Infinity })
  } catch (error) {
    if (isTidemarkError(error)) throw error
    throw failStore(
      'TM_FILE_MISSING',
      `${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    )
  }
}
