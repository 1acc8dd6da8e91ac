import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { LetterOutcomes } from '../../streams/dead-letters/dead-letter-outcomes.ts'
import { readDeadLetters } from '../../streams/dead-letters/dead-letters.ts'
import { dropDeadLetters, replayDeadLetters } from '../../streams/dead-letters/replay-dead-letters.ts'
import { reportSources } from '../../streams/status.ts'
import { deadTopic } from '../../streams/stream-context.ts'
import { failCli } from '../errors.ts'
import { sourceLogName } from '../../features/plan/source-plan.ts'
import type { Project } from '../open-project.ts'
import { Stopped } from '../stopped.ts'
import { describeCount } from '../terminal/describe-amounts.ts'
import { untilFed } from '../until-fed.ts'
import { settle } from '../settle.ts'
import { print, withProject } from './with-project.ts'

interface LetterOptions {
  readonly source?: string
  readonly code?: string
  readonly limit?: string
  readonly all?: boolean
}

export function registerDeadLetters(program: Command): void {
  const deadLetters = program.command('dead-letters').description('list, replay or drop events that were refused')
  const subcommand = (name: string, what: string): Command =>
    deadLetters
      .command(name)
      .description(what)
      .option('--source <name>', 'one source only')
      .option('--code <code>', 'letters of this code only')
      .option('--limit <n>', 'at most so many, oldest first')
  subcommand('list', 'list letters that were neither replayed nor dropped')
    .option('--all', 'the others too, with what became of them')
    .action(async (options: LetterOptions, command: Command) => {
      await withProject(command, async (project, json) => list(project, json, options))
    })
  subcommand('replay', 'take in what the current definitions accept; the rest stays').action(
    async (options: LetterOptions, command: Command) => {
      await withProject(command, async (project, json) => replay(project, json, options))
    },
  )
  subcommand('drop', 'be done with letters without taking them in')
    .option('--all', 'every letter, of every source and code')
    .action(async (options: LetterOptions, command: Command) => {
      await withProject(command, async (project, json) => drop(project, json, options))
    })
}

async function list(project: Project, json: boolean, options: LetterOptions): Promise<void> {
  const limit = parseLimit(options.limit)
  let listed = 0
  const write = (text: string): void => void process.stdout.write(text)
  if (json) write('[')
  for (const source of await sourcesOf(project, options)) {
    const name = sourceLogName(await project.registry.source(source))
    if ((await project.log.topic(deadTopic(name))) === null) continue
    const outcomes = await LetterOutcomes.read(project.log, name)
    for await (const { letters } of readDeadLetters(project.log, name)) {
      for (const letter of letters) {
        const outcome = outcomes.of(letter.offset)
        if (listed === limit || outcome === 'moved' || (outcome !== null && options.all !== true)) continue
        if (options.code !== undefined && letter.code !== options.code) continue
        const { code, reason, payload } = letter
        if (json) write(`${listed === 0 ? '' : ','}${JSON.stringify({ source, ...letter, outcome })}`)
        else write(`${source}  ${outcome ?? 'pending'}  ${code}  ${reason}  ${printable(payload.slice(0, 120))}\n`)
        listed++
      }
      if (listed === limit) break
    }
  }
  if (json) write(']\n')
  else if (listed === 0) write('No dead letters.\n')
}

async function replay(project: Project, json: boolean, options: LetterOptions): Promise<void> {
  const total = { replayed: 0, refused: 0, codes: {} as Record<string, number> }
  const limit = parseLimit(options.limit)
  const read = new Set((await project.registry.keyedLogs()).map(({ source }) => source.name))
  for (const source of await sourcesOf(project, options)) {
    if (options.source === undefined && !read.has(source)) continue
    const step = await project.gates.enterWork()
    await untilFed(project, source)
    const result = await replayDeadLetters(project, source, {
      code: options.code,
      limit: limit - total.replayed,
    }).finally(() => step?.release())
    total.replayed += result.replayed
    total.refused += result.refused
    for (const [code, count] of Object.entries(result.codes)) total.codes[code] = (total.codes[code] ?? 0) + count
  }
  await settle(project)
  const codes = Object.entries(total.codes).map(([code, count]) => `${code} ${count}`)
  print(json, total, [
    `${total.replayed} replayed, ${total.refused} still refused${codes.length === 0 ? '' : ` (${codes.join(', ')})`}`,
  ])
}

async function drop(project: Project, json: boolean, options: LetterOptions): Promise<void> {
  const limit = parseLimit(options.limit)
  const sources = await sourcesOf(project, options)
  const { source: one, code, limit: some, all } = options
  if (one === undefined && code === undefined && some === undefined && all !== true) await confirmAll(project, json)
  let dropped = 0
  for (const source of sources)
    dropped += await dropDeadLetters(project, sourceLogName(await project.registry.source(source)), {
      code: options.code,
      limit: limit - dropped,
    })
  print(json, { dropped }, [`${dropped} dropped`])
}

/** Without a filter every letter would go: on a terminal that is asked for, elsewhere refused. TM_USAGE; `Stopped`. */
async function confirmAll(project: Project, json: boolean): Promise<void> {
  const pending = (await reportSources(project)).reduce((sum, { deadLetters }) => sum + deadLetters, 0)
  if (pending === 0) return
  const letters = `every dead letter (${describeCount(pending)} now)`
  if (json || !process.stdin.isTTY || !process.stdout.isTTY)
    throw failCli(
      'TM_USAGE',
      `this would drop ${letters}: say which (--source, --code, --limit), or --all if it is meant so`,
    )
  const asking = createInterface({ input: process.stdin, output: process.stdout })
  const answer = await asking
    .question(`Drop ${letters}? None of them will be taken in. [y/N] `)
    .finally(() => asking.close())
  if (!/^y(es)?$/i.test(answer.trim())) throw new Stopped('nothing was dropped.')
}

async function sourcesOf(project: Project, { source }: LetterOptions): Promise<string[]> {
  if (source !== undefined) return [(await project.registry.source(source)).name]
  return (await project.registry.sources()).map(({ name }) => name)
}

function parseLimit(text: string | undefined): number {
  if (text === undefined) return Infinity
  if (!/^\d+$/.test(text)) throw failCli('TM_USAGE', `--limit ${text}: expected a whole number`)
  return Number(text)
}

/** Control characters of an event must not reach a terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '·')
}
