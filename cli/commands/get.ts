import type { Command } from 'commander'
import type { FieldPlan } from '../../features/plan/field-type.ts'
import { valueToJson } from '../../features/values/json-values.ts'
import { FeatureReader } from '../../inference/assemble.ts'
import { answer } from '../../serving/feature-route.ts'
import { failCli } from '../errors.ts'
import { print, withProject } from './with-project.ts'

export function registerGet(program: Command): void {
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
        if (json) process.stdout.write(`${answer(service, vectors, project.isClockSimulated ? 'simulated' : 'real')}\n`)
        else print(false, null, [...lines, `evaluated at ${new Date(evaluatedAt).toISOString()}`])
      })
    })
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
