#!/usr/bin/env node
import { Command, CommanderError } from 'commander'
import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import { registerApply } from './commands/apply.ts'
import { registerArchive } from './commands/archive.ts'
import { registerCatalog } from './commands/catalog.ts'
import { registerDeadLetters } from './commands/dead-letters.ts'
import { registerExport } from './commands/export.ts'
import { registerGet } from './commands/get.ts'
import { registerImport } from './commands/import.ts'
import { registerInit } from './commands/init.ts'
import { registerPlan } from './commands/plan.ts'
import { registerProduce } from './commands/produce.ts'
import { registerServe } from './commands/serve.ts'
import { registerStart } from './commands/start.ts'
import { registerStatus } from './commands/status.ts'
import { registerStream } from './commands/stream.ts'
import { registerVerify } from './commands/verify.ts'
import { registerWait } from './commands/wait.ts'

/** Every command, in the order of the help text; one file each under `commands/`. */
const COMMANDS: readonly ((program: Command) => void)[] = [
  registerInit,
  registerPlan,
  registerApply,
  registerStart,
  registerStream,
  registerArchive,
  registerServe,
  registerImport,
  registerProduce,
  registerWait,
  registerGet,
  registerExport,
  registerVerify,
  registerStatus,
  registerCatalog,
  registerDeadLetters,
]

/** Exit codes: 0 ok, 1 failed, 2 usage, 3 (`plan --check`) a service would change. */
async function main(): Promise<void> {
  const program = new Command('tidemark')
  program
    .description('Feature store: one definition, the same bits in training and serving.')
    .exitOverride()
    .showHelpAfterError()
  program.option('--project <dir>', 'project folder', '.').option('--json', 'machine-readable output')
  for (const register of COMMANDS) register(program)
  try {
    await program.parseAsync()
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2
    else if (isTidemarkError(error)) {
      const json = program.opts<{ json?: boolean }>().json === true
      process.stderr.write(
        json
          ? `${JSON.stringify({ error: error.message, code: error.code, details: error.details })}\n`
          : `${error.code}: ${error.message}\n`,
      )
      process.exitCode = error.code === 'TM_USAGE' ? 2 : 1
    } else {
      process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
      process.exitCode = 1
    }
  }
}

await main()
