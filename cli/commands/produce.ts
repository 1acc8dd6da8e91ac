import type { Command } from 'commander'
import { produce } from '../../streams/produce.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import { failCli } from '../errors.ts'
import { LineInput } from '../line-input.ts'
import { readRecords, RECORD_FORMS } from '../record-input.ts'
import type { RecordForm } from '../record-input.ts'
import { settle } from '../settle.ts'
import { describeCount } from '../terminal/describe-amounts.ts'
import { describeAccepted } from './describe-accepted.ts'
import { checkStopped, print, withWork } from './with-project.ts'

const EXAMPLES = `
Each line is one JSON object with the fields of the source's schema. A line that cannot be taken in becomes a dead letter and the others go on;
the command fails only if every line was refused. A source with another format (Avro, …) takes records of bytes: say with --records how they stand in the file.

Examples:
  tidemark produce payments today.jsonl
  tail -f events.jsonl | tidemark produce payments -
  tidemark produce payments --records base64 records.txt
`

interface ProduceOptions {
  readonly records?: string
}

export function registerProduce(program: Command): void {
  program
    .command('produce <source> <file>')
    .description('take in live events: JSON lines from a file, or - for standard input')
    .option(
      '--records <form>',
      'the file holds records of bytes: base64, one a line, or length-prefixed (4 bytes, big-endian)',
    )
    .addHelpText('after', EXAMPLES)
    .action(async (source: string, file: string, options: ProduceOptions, command: Command) => {
      await withWork(command, async ({ project, json, signal, progress }) => {
        const form = parseForm(options.records)
        checkForm(await project.registry.source(source), form)
        const isEndless = file === '-'
        const sending = progress('produce', 'events')
        if (isEndless && process.stdin.isTTY && form === null)
          process.stderr.write('Type events, one JSON object a line; Ctrl-D at the beginning of a line ends.\n')
        const input = await LineInput.open(file, signal)
        const events = form === null ? input.lines() : readRecords(input, form)
        const result = await produce(project, source, events, {
          onProgress: (events) => sending.update(events, input.estimateTotal(events)),
          // Ctrl-C ends standard input: what had come is sent.
          signal: isEndless ? undefined : signal,
        })
        if (!isEndless)
          checkStopped(signal, () => {
            const sent = describeCount(result.accepted + result.refused)
            return `the first ${sent} events of ${file} were sent and count; events that are sent again count twice.`
          })
        const applying = progress('apply and archive', 'events')
        await settle(project, { onProgress: (moved) => applying.update(moved) })
        sending.end()
        print(json, result, describeAccepted(result))
        if (result.accepted === 0 && result.refused > 0) process.exitCode = 1
      })
    })
}

function parseForm(given: string | undefined): RecordForm | null {
  if (given === undefined) return null
  const form = RECORD_FORMS.find((known) => known === given)
  if (form !== undefined) return form
  throw failCli('TM_USAGE', `--records must be ${RECORD_FORMS.join(' or ')}, found ${JSON.stringify(given)}`)
}

/** Lines are JSON, records are of the source's own format. */
function checkForm({ name, format }: SourcePlan, form: RecordForm | null): void {
  if ((format.kind === 'json') === (form === null)) return
  throw failCli(
    'TM_USAGE',
    form === null
      ? `source ${name} takes records of format ${format.kind}, no lines of JSON: say with --records base64 or --records length-prefixed how they stand in the file`
      : `source ${name} takes lines of JSON: leave out --records`,
  )
}
