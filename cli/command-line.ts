import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { storeFailure } from '../stores/store-failure.ts'
import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import { Stopped } from './stopped.ts'
import { terminalWidth, wrapText } from './terminal/wrap.ts'

type Register = (program: Command) => void

/** Every command in the order of the help text, with the file that has it: loaded only when it is the one asked for. */
const COMMANDS: Readonly<Record<string, () => Promise<Register>>> = {
  init: async () => (await import('./commands/init.ts')).registerInit,
  plan: async () => (await import('./commands/plan.ts')).registerPlan,
  apply: async () => (await import('./commands/apply.ts')).registerApply,
  catalog: async () => (await import('./commands/catalog.ts')).registerCatalog,
  start: async () => (await import('./commands/start.ts')).registerStart,
  stream: async () => (await import('./commands/stream.ts')).registerStream,
  archive: async () => (await import('./commands/archive.ts')).registerArchive,
  serve: async () => (await import('./commands/serve.ts')).registerServe,
  import: async () => (await import('./commands/import.ts')).registerImport,
  produce: async () => (await import('./commands/produce.ts')).registerProduce,
  wait: async () => (await import('./commands/wait.ts')).registerWait,
  backfill: async () => (await import('./commands/backfill.ts')).registerBackfill,
  get: async () => (await import('./commands/get.ts')).registerGet,
  export: async () => (await import('./commands/export.ts')).registerExport,
  verify: async () => (await import('./commands/verify.ts')).registerVerify,
  status: async () => (await import('./commands/status.ts')).registerStatus,
  repair: async () => (await import('./commands/repair.ts')).registerRepair,
  resume: async () => (await import('./commands/resume.ts')).registerResume,
  forget: async () => (await import('./commands/forget.ts')).registerForget,
  'dead-letters': async () => (await import('./commands/dead-letters.ts')).registerDeadLetters,
}

const AFTER_HELP = `
Examples:
  tidemark init my-features                a project that runs, events to try
  tidemark apply --project my-features     register its definitions
  tidemark start --project my-features     streams, archive and HTTP on port 7070
  tidemark get fraud card_id=c-1 amount=12
  tidemark export fraud --spine s.csv --out t.parquet

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 (plan --check) a service would
change, 130 stopped by Ctrl-C.
`

/** Parses the arguments, runs the command, and sets the exit code: 0 ok, 1 failed, 2 usage, 3 (`plan --check`) a service would change. */
export async function runCommandLine(args: readonly string[]): Promise<void> {
  exitQuietlyOnClosedPipe()
  const program = new Command('tidemark')
    .description('Feature store: one definition, the same bits in training and serving.')
    .option('--project <dir>', 'project folder (default: the one that the working folder is in)')
    .option('--json', 'one JSON document instead of text')
    .version(readVersion(), '--version', 'the version of Tidemark')
    .helpCommand('help [command]', 'how to use a command')
    .showHelpAfterError('(--help says more)')
    .addHelpText('after', AFTER_HELP)
    .configureHelp({ showGlobalOptions: true, minWidthToWrap: 20, subcommandTerm: describeCommand })
    .exitOverride()
  // Subcommands take the setting over when they are made.
  for (const load of commandsFor(args)) (await load())(program)
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    process.exitCode = report(error, program.opts<{ json?: boolean }>().json === true)
  }
}

/** A command in the list of all: its name and what it takes. */
function describeCommand(command: Command): string {
  const taken = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? '...' : ''}`
    return argument.required ? ` <${name}>` : ` [${name}]`
  })
  return `${command.name()}${taken.join('')}`
}

/** The command that the arguments name, or all of them: for the help text, and to suggest one for a name that is not known. */
function commandsFor(args: readonly string[]): (() => Promise<Register>)[] {
  const named = args.find((arg, i) => Object.hasOwn(COMMANDS, arg) && args[i - 1] !== '--project')
  const isHelp = args[0] === 'help'
  return named === undefined || isHelp ? Object.values(COMMANDS) : [COMMANDS[named]]
}

function report(error: unknown, json: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (error instanceof Stopped) {
    process.stderr.write(`Stopped: ${error.message}\n`)
    return 130
  }
  const known = isTidemarkError(error) ? error : storeFailure(error)
  if (known === null) {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    return 1
  }
  const { code, message, details } = known
  const said = wrapText(`${code}: ${message}`, terminalWidth(process.stderr)).join('\n')
  process.stderr.write(json ? `${JSON.stringify({ error: message, code, details })}\n` : `${said}\n`)
  return code === 'TM_USAGE' ? 2 : 1
}

/** `tidemark catalog | head` closes the pipe early: no reason to fail. */
function exitQuietlyOnClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0)
      throw error
    })
  }
}

/** From the package's own package.json, which stands one folder above the sources and two above the built code. */
function readVersion(): string {
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as Record<
        string,
        string
      >
      if (name === 'tidemark') return version
    } catch {
      // Not here: the other one.
    }
  }
  return 'unknown'
}
