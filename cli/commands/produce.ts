import type { Command } from 'commander'
import { produce } from '../../streams/produce.ts'
import { LineInput } from '../line-input.ts'
import { settle } from '../settle.ts'
import { describeCount } from '../terminal/describe-amounts.ts'
import { describeAccepted } from './describe-accepted.ts'
import { checkStopped, print, withWork } from './with-project.ts'

const EXAMPLES = `
Each line is one JSON object with the fields of the source's schema. A line that cannot be taken in becomes a dead letter and the others go on;
the command fails only if every line was refused.

Examples:
  tidemark produce payments today.jsonl
  tail -f events.jsonl | tidemark produce payments -
`

export function registerProduce(program: Command): void {
  program
    .command('produce <source> <file>')
    .description('take in live events: JSON lines from a file, or - for standard input')
    .addHelpText('after', EXAMPLES)
    .action(async (source: string, file: string, _options: unknown, command: Command) => {
      await withWork(command, async ({ project, json, signal, progress }) => {
        const isEndless = file === '-'
        const sending = progress('produce', 'events')
        if (isEndless && process.stdin.isTTY)
          process.stderr.write('Type events, one JSON object a line; Ctrl-D at the beginning of a line ends.\n')
        const input = await LineInput.open(file, signal)
        const result = await produce(project, source, input.lines(), {
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
