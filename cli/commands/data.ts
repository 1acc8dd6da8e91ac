import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import { FeatureReader } from '../../inference/assemble.ts'
import type { FieldPlan } from '../../features/plan/field-type.ts'
import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import { valueToJson } from '../../features/values/json-values.ts'
import { exportTrainingSet } from '../../offline/export.ts'
import type { AsOf } from '../../offline/export.ts'
import { verifyServed } from '../../offline/verify.ts'
import { answer } from '../../serving/build-app.ts'
import { failStore } from '../../stores/errors.ts'
import { listDeadLetters } from '../../streams/dead-letters.ts'
import { importFiles } from '../../streams/import-files.ts'
import { produce } from '../../streams/produce.ts'
import { deadTopic } from '../../streams/stream-context.ts'
import { ingestLag, isCaughtUp, partitionStatus, waitUntilCaughtUp } from '../../streams/wait.ts'
import { failCli } from '../errors.ts'
import type { Project } from '../open-project.ts'
import { drain } from '../run-roles.ts'
import { isRunning } from '../start-socket.ts'
import { print, withProject } from './with-project.ts'

/** Beside a running `start` its workers do the rest; without one this process applies and archives before it returns. */
async function settle(project: Project): Promise<void> {
  if (!(await isRunning(project.dataFolder))) await drain(project)
}

export function registerDataCommands(program: Command): void {
  program
    .command('import <source> <files...>')
    .description('history from Parquet, CSV or JSONL')
    .option('--arrival <column>', "timestamp column, or 'event-time'")
    .action(async (source: string, files: string[], options: { arrival?: string }, command: Command) => {
      await withProject(command, async (project, json) => {
        const tty = process.stderr.isTTY && !json
        const onProgress = tty ? (rows: number) => process.stderr.write(`\r${rows} rows read`) : undefined
        const result = await importFiles(project, source, files, { arrival: options.arrival ?? null, onProgress })
        if (tty) process.stderr.write('\n')
        await settle(project)
        print(json, result, describeAccepted(result))
        if (result.accepted === 0 && result.refused > 0) process.exitCode = 1
      })
    })
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
  program
    .command('wait')
    .description('until everything produced so far is applied and archived')
    .option('--timeout <duration>', 'seconds, like 60s', '60s')
    .action(async (options: { timeout: string }, command: Command) => {
      const match = /^(\d+)(ms|s|m)?$/.exec(options.timeout)
      if (match === null) throw failCli('TM_USAGE', `--timeout ${options.timeout} is not a duration like 60s`)
      const timeoutMs = Number(match[1]) * (match[2] === 'ms' ? 1 : match[2] === 'm' ? 60_000 : 1000)
      await withProject(command, async (project, json) => {
        const started = performance.now()
        const events = (await isRunning(project.dataFolder)) ? 0 : await drain(project)
        await waitUntilCaughtUp(project, timeoutMs)
        const ms = Math.round(performance.now() - started)
        print(json, { events, ms }, [`Caught up in ${ms} ms.`])
      })
    })
  program
    .command('get <service> <keys...>')
    .description('one vector: key=value for entity keys and request fields')
    .action(async (name: string, pairs: string[], _options: unknown, command: Command) => {
      await withProject(command, async (project, json) => {
        const service = await project.registry.service(name)
        const given = parsePairs(pairs)
        const request = parseTyped(service.plan.request, given)
        const keys = new Map<string, FieldPlan>()
        for (const { viewVersion } of service.plan.features)
          for (const column of (await project.registry.view(viewVersion)).plan.entity.columns)
            keys.set(column.name, column)
        const entity = parseTyped([...keys.values()], given)
        const unknown = [...given.keys()].find(
          (key) => !keys.has(key) && !service.plan.request.some((field) => field.name === key),
        )
        if (unknown !== undefined)
          throw failCli(
            'TM_USAGE',
            `${unknown} is neither a key nor a request field of ${name}: expected ${[...keys.keys(), ...service.plan.request.map((field) => field.name)].join(', ')}`,
          )
        const vectors = await project.reader.read(service, [entity], [request])
        const [{ values, statuses, evaluatedAt }] = vectors
        const lines = FeatureReader.names(service).map(
          (feature, i) => `${feature.padEnd(40)} ${valueToJson(values[i]).padEnd(24)} ${statuses[i]}`,
        )
        if (json) process.stdout.write(`${answer(service, vectors)}\n`)
        else print(false, null, [...lines, `evaluated at ${new Date(evaluatedAt).toISOString()}`])
      })
    })
  program
    .command('export <service>')
    .description('point-in-time training set for a spine')
    .requiredOption('--spine <file>', 'entity keys, timestamp, request fields, labels (.parquet, .csv)')
    .requiredOption('--out <file>', 'output (.parquet, .csv); a manifest is written beside it')
    .option('--timestamp <column>', 'time column of the spine', 'timestamp')
    .option('--as-of <clock>', 'arrival or event-time', 'arrival')
    .action(
      async (
        service: string,
        options: { spine: string; out: string; timestamp: string; asOf: string },
        command: Command,
      ) => {
        if (!['arrival', 'event-time', 'served'].includes(options.asOf))
          throw failCli('TM_USAGE', `--as-of ${options.asOf}: expected arrival, event-time or served`)
        await withProject(command, async (project, json) => {
          await settle(project)
          const manifest = await exportTrainingSet(project, { ...options, service, asOf: options.asOf as AsOf })
          print(json, manifest, [
            `Wrote ${manifest.rows} rows to ${options.out} (SHA-256 ${manifest.outputSha256.slice(0, 12)}…), manifest beside it.`,
          ])
        })
      },
    )
  program
    .command('verify')
    .description('served vectors against the archive, byte for byte')
    .option('--sample <n>', 'newest n vectors only')
    .action(async (options: { sample?: string }, command: Command) => {
      await withProject(command, async (project, json) => {
        await settle(project)
        const report = await verifyServed(project, {
          sample: options.sample === undefined ? undefined : Number(options.sample),
        })
        const lines = report.mismatches
          .slice(0, 20)
          .map(({ requestId, feature, cause }) => `MISMATCH ${feature} (request ${requestId}): ${cause}`)
        print(json, report, [
          ...lines,
          `${report.rows} vectors, ${report.values} values compared, ${report.mismatches.length} mismatches, ${report.pending} vectors not archived yet.`,
        ])
        if (report.mismatches.length > 0) process.exitCode = 1
      })
    })
  program
    .command('status')
    .description('positions, lag and dead letters')
    .action(async (_options: unknown, command: Command) => {
      await withProject(command, async (project, json) => {
        const partitions = await partitionStatus(project)
        const dead: Record<string, number> = {}
        for (const { name } of await project.registry.sources())
          dead[name] =
            (await project.log.topic(deadTopic(name))) === null ? 0 : (await listDeadLetters(project.log, name)).length
        const status = {
          running: await isRunning(project.dataFolder),
          caughtUp: await isCaughtUp(project),
          ingestLagRecords: await ingestLag(project),
          partitions,
          deadLetters: dead,
        }
        print(json, status, [
          `running: ${status.running}   caught up: ${status.caughtUp}   records not ingested: ${status.ingestLagRecords}`,
          ...partitions.map(
            ({ keyedLog, partition, endOffset, appliedOffset, archivedOffset }) =>
              `${`${keyedLog}/${partition}`.padEnd(36)} end ${endOffset}  applied ${appliedOffset}  archived ${archivedOffset}`,
          ),
          ...Object.entries(dead).map(([source, count]) => `dead letters of ${source}: ${count}`),
        ])
      })
    })
  const deadLetters = program.command('dead-letters').description('events that were refused')
  deadLetters
    .command('list')
    .option('--source <name>', 'one source only')
    .action(async (options: { source?: string }, command: Command) => {
      await withProject(command, async (project, json) => {
        const names = (await project.registry.sources())
          .map(({ name }) => name)
          .filter((name) => options.source === undefined || name === options.source)
        const letters = []
        for (const source of names)
          for (const letter of await listDeadLetters(project.log, source)) letters.push({ source, ...letter })
        print(
          json,
          letters,
          letters.map(({ source, code, reason, payload }) => `${source}  ${code}  ${reason}  ${payload.slice(0, 120)}`),
        )
      })
    })
}

function describeAccepted({
  accepted,
  refused,
  codes,
}: {
  accepted: number
  refused: number
  codes: Record<string, number>
}): string[] {
  const list = Object.entries(codes).map(([code, count]) => `${code} ${count}`)
  return [
    `${accepted} accepted, ${refused} refused${list.length === 0 ? '' : ` (${list.join(', ')}); see tidemark dead-letters list`}`,
  ]
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

function parsePairs(pairs: readonly string[]): Map<string, string> {
  return new Map(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) throw failCli('TM_USAGE', `${pair}: expected key=value`)
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}

/** Command-line text as the JSON value its field's type asks for. */
function parseTyped(fields: readonly FieldPlan[], given: ReadonlyMap<string, string>): Record<string, unknown> {
  const row: Record<string, unknown> = {}
  for (const { name, type } of fields) {
    const text = given.get(name)
    if (text === undefined) continue
    if (type.kind === 'string' || type.kind === 'enum' || type.kind === 'bytes') row[name] = text
    else if (type.kind === 'bool') row[name] = text === 'true' ? true : text === 'false' ? false : text
    else row[name] = text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text)
  }
  return row
}
