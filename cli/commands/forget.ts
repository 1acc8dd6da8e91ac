import type { Command } from 'commander'
import { describeKnown } from '../../features/errors/closest-name.ts'
import { parseRow } from '../../inference/parse-rows.ts'
import { failRegistry } from '../../registry/errors.ts'
import { storeFailure } from '../../stores/store-failure.ts'
import { forgetKey } from '../../streams/forget/forget-key.ts'
import type { Forgotten } from '../../streams/forget/forget-key.ts'
import { ForgottenKey } from '../../streams/forget/forgotten-key.ts'
import type { DataGates } from '../data-gates.ts'
import { failCli } from '../errors.ts'
import type { Project } from '../open-project.ts'
import { describeCount } from '../terminal/describe-amounts.ts'
import { parsePairs } from './parse-pairs.ts'
import { parseTyped } from './parse-typed.ts'
import { changeHistory, print, withWork } from './with-project.ts'
import type { Work } from './with-project.ts'

const EXAMPLES = `
Removes every event about the key: source topics, dead letters, keyed logs, archive, served vectors; online states become what the other events give.
Files that you exported are yours: they are not looked at. Run it again after it was stopped; it goes on.

Examples:
  tidemark forget card card_id=c-1
  tidemark forget route origin=SEA destination=JFK --json
`

interface Outcome {
  readonly entity: string
  readonly removed: Forgotten
  /** No copy is left in free parts of the database files either; false: they are written anew as soon as no process has them open. */
  readonly erased: boolean
}

export function registerForget(program: Command): void {
  program
    .command('forget <entity> <key=value...>')
    .description('remove every event about a key, for good')
    .addHelpText('after', EXAMPLES)
    .action(async (entity: string, pairs: string[], _options: unknown, command: Command) => {
      const done: { removed: Forgotten; json: boolean; gates: DataGates }[] = []
      await withWork(command, async (work) => {
        const removed = await forget(work, await keyOf(work.project, entity, pairs))
        done.push({ removed, json: work.json, gates: work.project.gates })
      })
      for (const { removed, json, gates } of done) {
        const outcome: Outcome = { entity, removed, erased: await rewritten(gates) }
        print(json, outcome, describe(outcome))
      }
    })
}

/** Whether the database files could be written anew; what hinders it is said. */
async function rewritten(gates: DataGates): Promise<boolean> {
  try {
    return await gates.rewriteStores()
  } catch (error) {
    process.stderr.write(
      `the database files cannot be written anew now: ${storeFailure(error)?.message ?? String(error)}\n`,
    )
    return false
  }
}

async function forget(work: Work, key: ForgottenKey): Promise<Forgotten> {
  const { project } = work
  const line = work.progress('forget', 'parts')
  return changeHistory(work, () => {
    project.gates.markForRewrite()
    return forgetKey(project, key, Math.floor(project.now()), {
      onProgress: (done, total) => line.update(done, total),
    })
  })
}

/** TM_UNKNOWN_ENTITY, TM_ENTITY_KEY. */
async function keyOf(project: Project, name: string, pairs: readonly string[]): Promise<ForgottenKey> {
  const entities = await project.registry.entities()
  const entity = entities.find((candidate) => candidate.name === name)
  if (entity === undefined)
    throw failRegistry(
      'TM_UNKNOWN_ENTITY',
      `no entity ${JSON.stringify(name)} is registered: ${describeKnown(
        name,
        entities.map((known) => known.name),
      )}`,
    )
  const given = parsePairs(pairs)
  const names = entity.columns.map((column) => column.name)
  const unknown = [...given.keys()].find((column) => !names.includes(column))
  if (unknown !== undefined)
    throw failCli('TM_USAGE', `${unknown} is no key column of ${name}: expected ${names.join(', ')}`)
  const values = parseRow(entity.columns, parseTyped(entity.columns, given), 0, 'TM_ENTITY_KEY')
  return new ForgottenKey(entity, values)
}

function describe({ entity, removed, erased }: Outcome): string[] {
  const { events, archivedEvents, sourceLines, deadLetters, servedVectors, states, touchedEntities } = removed
  const left = events + archivedEvents + sourceLines + deadLetters + servedVectors
  return [
    left === 0
      ? `No event about this ${entity} was found.`
      : `Removed ${describeCount(sourceLines)} produced events, ${describeCount(events)} events of keyed logs, ${describeCount(archivedEvents)} archived ones, ${describeCount(deadLetters)} dead letters, ${describeCount(servedVectors)} served vectors.`,
    `States deleted or made anew: ${describeCount(states)}; other entities that lost events: ${describeCount(touchedEntities)}.`,
    erased
      ? 'The database files were written anew: no copy is left in them.'
      : 'Free parts of the database files may hold copies until they are written anew: as soon as no process has them open (stop `tidemark start`, and start it again).',
  ]
}
