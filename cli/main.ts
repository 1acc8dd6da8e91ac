#!/usr/bin/env node
import { Command, CommanderError } from 'commander'
import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import { registerDataCommands } from './commands/data.ts'
import { registerDefinitionCommands } from './commands/definitions.ts'
import { registerRoleCommands } from './commands/roles.ts'

/** Exit codes: 0 ok, 1 failed, 2 usage, 3 (`plan --check`) a service would change. */
async function main(): Promise<void> {
  const program = new Command('tidemark')
  program
    .description('Feature store: one definition, the same bits in training and serving.')
    .exitOverride()
    .showHelpAfterError()
  program.option('--project <dir>', 'project folder', '.').option('--json', 'machine-readable output')
  registerDefinitionCommands(program)
  registerDataCommands(program)
  registerRoleCommands(program)
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
