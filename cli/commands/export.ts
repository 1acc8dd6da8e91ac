import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { exportTrainingSet } from '../../offline/export.ts'
import type { AsOf, ExportProgress, Manifest, PinnedPositions } from '../../offline/export.ts'
import { failStore } from '../../stores/errors.ts'
import { failCli } from '../errors.ts'
import { settle } from '../settle.ts'
import { describeCount } from '../terminal/describe-amounts.ts'
import { paint } from '../terminal/style.ts'
import { checkStopped, print, withWork } from './with-project.ts'
import type { Work } from './with-project.ts'

const CLOCKS = ['arrival', 'event-time', 'served']
const PHASES: Readonly<Record<ExportProgress['phase'], readonly [label: string, unit: string]>> = {
  events: ['read events', 'events'],
  rows: ['compute', 'rows'],
  write: ['write', 'rows'],
}
const EXAMPLES = `
Each row of the spine sees exactly what had arrived before its own time. Its columns come first, in their order, then features and derived fields.
--as-of event-time takes every event's own time as its arrival: for history whose arrivals cannot be trusted; it can leak.
--as-of served gives what a request at each row's time got: the events that were in the online states by then. Only while the service's views were live.

Examples:
  tidemark export fraud --spine labels.parquet --out training.parquet
  tidemark export fraud --spine labels.csv --out training.csv --timestamp paid_at
  tidemark export fraud --spine labels.csv --out again.csv --positions training.csv.manifest.json
`

interface Options {
  readonly spine: string
  readonly out: string
  readonly timestamp: string
  readonly asOf: AsOf
  readonly positions?: string
  /** Bytes. */
  readonly memory?: number
}

export function registerExport(program: Command): void {
  program
    .command('export <service>')
    .description('write a point-in-time training set for a spine')
    .requiredOption('--spine <file>', 'entity keys, timestamp, request fields, labels (.parquet, .arrow, .csv, .jsonl)')
    .requiredOption('--out <file>', 'output (.parquet, .arrow, .csv); a manifest is written beside it')
    .option('--timestamp <column>', 'time column of the spine', 'timestamp')
    .option('--as-of <clock>', 'arrival, event-time or served', parseClock, 'arrival')
    .option(
      '--memory <size>',
      'what the export should stay within, such as 2GB or 800MB; default: half of the memory',
      parseMemory,
    )
    .option('--positions <manifest>', 'see only what the export of this manifest saw')
    .addHelpText('after', EXAMPLES)
    .action(async (service: string, options: Options, command: Command) => {
      await withWork(command, async (work) => runExport(service, options, work))
    })
}

async function runExport(service: string, options: Options, { project, json, signal, progress }: Work): Promise<void> {
  const stopped = (): void =>
    checkStopped(signal, () => `nothing was written to ${options.out}; what was there before is as it was.`)
  const pinned = options.positions === undefined ? undefined : readPositions(options.positions)
  const applying = progress('apply and archive', 'events')
  await settle(project, { signal, onProgress: (moved) => applying.update(moved) })
  stopped()
  let phase: ExportProgress['phase'] = 'events'
  let line = progress(...PHASES[phase])
  const onProgress = (at: ExportProgress): void => {
    if (at.phase !== phase) line = progress(...PHASES[at.phase])
    phase = at.phase
    line.update(at.done, at.total)
  }
  const reading = await project.gates.readArchive(signal)
  try {
    const manifest = await exportTrainingSet(project, {
      ...options,
      memoryBytes: options.memory,
      service,
      pinned,
      signal,
      onProgress,
    })
    line.end()
    print(json, manifest, describe(manifest, options.out))
  } catch (error) {
    stopped()
    throw error
  } finally {
    reading?.release()
  }
}

function parseClock(text: string): AsOf {
  if (!CLOCKS.includes(text)) throw failCli('TM_USAGE', `--as-of ${text}: expected ${CLOCKS.join(', ')}`)
  return text as AsOf
}

const MEMORY_UNITS: Readonly<Record<string, number>> = { MB: 2 ** 20, GB: 2 ** 30 }

function parseMemory(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(MB|GB)$/.exec(text.toUpperCase()) ?? []
  if (amount === undefined || Number(amount) === 0)
    throw failCli('TM_USAGE', `--memory ${text}: expected a size such as 2GB or 800MB`)
  return Number(amount) * MEMORY_UNITS[unit]
}

/** Positions of an earlier export. TM_FILE_MISSING, TM_FILE_UNREADABLE. */
function readPositions(path: string): PinnedPositions {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw failStore('TM_FILE_MISSING', `${path} cannot be read: name the manifest of an earlier export`, {
      cause: error,
    })
  }
  try {
    const { positions, incarnations, completeUntil } = JSON.parse(text) as Manifest
    if (typeof positions === 'object' && typeof incarnations === 'object' && typeof completeUntil === 'number')
      return { positions, incarnations, completeUntil }
  } catch {
    // Said below.
  }
  throw failStore(
    'TM_FILE_UNREADABLE',
    `${path} is no manifest of an export: expected FILE.manifest.json from beside one`,
  )
}

function describe({ rows, outputSha256, nullShareBroken, functionFailures }: Manifest, out: string): string[] {
  return [
    `Wrote ${describeCount(rows)} rows to ${out} (SHA-256 ${outputSha256.slice(0, 12)}…); its manifest is beside it.`,
    ...functionFailures.map(({ name, function: of, code, count }) =>
      paint('yellow', `${code}: ${of} of ${name} gave null ${describeCount(count)} times`),
    ),
    ...nullShareBroken.map(({ name, nullShare, allowed }) =>
      paint('yellow', `${name}: ${(100 * nullShare).toFixed(1)} % null, ${(100 * allowed).toFixed(1)} % are allowed`),
    ),
  ]
}
