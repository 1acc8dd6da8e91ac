import type { Command } from 'commander'
import type { StatusName } from '../../features/aggregation/result-column.ts'
import type { FieldPlan } from '../../features/plan/field-type.ts'
import type { Interval } from '../../features/kernel/window-interval.ts'
import { valueToJson } from '../../features/values/json-values.ts'
import { FeatureReader } from '../../inference/assemble.ts'
import { failInference } from '../../inference/errors.ts'
import type { ServedVector } from '../../inference/served-vector.ts'
import { answer } from '../../serving/answer.ts'
import { failCli } from '../errors.ts'
import { paint } from '../terminal/style.ts'
import { formatTable } from '../terminal/table.ts'
import { parsePairs } from './parse-pairs.ts'
import { parseTyped } from './parse-typed.ts'
import { print, withProject } from './with-project.ts'
import { didYouMean } from '../../features/errors/closest-name.ts'

const EXAMPLES = `
Names every entity key of the service and its request fields. Times are ISO-8601 or epoch milliseconds; whole numbers keep all their digits.

Examples:
  tidemark get fraud card_id=c-1 amount=12.5
  tidemark get fraud card_id=c-1 amount=12.5 --json      the answer of POST /v1/features/fraud
`

export function registerGet(program: Command): void {
  program
    .command('get <service> <key=value...>')
    .description('show one vector with its statuses and stamps')
    .option('--intervals', 'which span of time each value covers')
    .addHelpText('after', EXAMPLES)
    .action(async (name: string, pairs: string[], options: { intervals?: boolean }, command: Command) => {
      await withProject(command, async (project, json) => {
        const service = await project.registry.service(name)
        const { keys } = await project.reader.layout(service)
        const given = parsePairs(pairs)
        checkNames(name, [...given.keys()], [...keys, ...service.plan.request])
        checkComplete(name, new Set(given.keys()), keys, service.plan.request)
        const entity = parseTyped(keys, given)
        const request = parseTyped(service.plan.request, given)
        const vectors = await project.reader.read(service, [entity], [request])
        const { intervals = false } = options
        const { isClockSimulated } = project
        const clock = isClockSimulated ? 'simulated' : 'real'
        if (json) process.stdout.write(`${answer(service, vectors, { clock, intervals })}\n`)
        else print(false, null, describe(FeatureReader.names(service), vectors[0], { isClockSimulated, intervals }))
      })
    })
}

function describeSpan(span: Interval | null): string[] {
  return span === null ? ['', ''] : span.map((ms) => new Date(ms).toISOString())
}

function checkComplete(
  service: string,
  given: ReadonlySet<string>,
  keys: readonly FieldPlan[],
  request: readonly FieldPlan[],
): void {
  const all = [...keys, ...request]
  const missing = all.find(({ name, nullable }) => !given.has(name) && !nullable)
  if (missing === undefined) return
  throw failInference(
    keys.includes(missing) ? 'TM_ENTITY_KEY' : 'TM_REQUEST_FIELD',
    `${missing.name} (${missing.type.kind}) is missing: ${service} is read by ${all.map(({ name }) => `${name}=…`).join(' ')}`,
    { details: { field: missing.name } },
  )
}

function checkNames(service: string, given: readonly string[], fields: readonly FieldPlan[]): void {
  const names = fields.map(({ name }) => name)
  const unknown = given.find((name) => !names.includes(name))
  if (unknown !== undefined)
    throw failCli(
      'TM_USAGE',
      `${unknown} is neither a key nor a request field of ${service}: expected ${names.join(', ')}${didYouMean(unknown, names)}`,
    )
}

const QUIET: ReadonlySet<StatusName> = new Set(['PRESENT'])

function describe(
  names: readonly string[],
  vector: ServedVector,
  { isClockSimulated, intervals }: { isClockSimulated: boolean; intervals: boolean },
): string[] {
  const spans = intervals ? vector.intervals : []
  const { values, statuses, evaluatedAt, stamps } = vector
  const rows = names.map((name, i) => [
    name,
    valueToJson(values[i]),
    paint(QUIET.has(statuses[i]) ? 'dim' : 'yellow', statuses[i]),
    ...(intervals ? describeSpan(spans[i]) : []),
  ])
  const stampRows = stamps.map(({ view, version, partition, nextOffset }) => [
    view,
    version.slice(0, 12),
    String(partition),
    nextOffset,
  ])
  return [
    ...formatTable(['value of', '', 'status', ...(intervals ? ['from', 'until before'] : [])], rows),
    '',
    ...formatTable(['computed from view', 'version', 'partition', 'up to offset'], stampRows),
    '',
    `Evaluated at ${new Date(evaluatedAt).toISOString()}${isClockSimulated ? ' (simulated clock)' : ''}.`,
  ]
}
