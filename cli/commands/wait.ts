import { Option } from 'commander'
import type { Command } from 'commander'
import { appliedPositions, countAppliedSince } from '../../streams/apply/applied-events.ts'
import { waitUntilCaughtUp } from '../../streams/wait.ts'
import { failCli } from '../errors.ts'
import { settle } from '../settle.ts'
import { describeCount, describeMs } from '../terminal/describe-amounts.ts'
import { checkStopped, print, withWork } from './with-project.ts'

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
const EXAMPLES = `
What was sent before the call is waited for; what comes later is not.

Examples:
  tidemark wait
  tidemark wait --timeout 5m --json
`

export function registerWait(program: Command): void {
  program
    .command('wait')
    .description('wait until everything produced so far is applied and archived')
    .addOption(new Option('--timeout <duration>', 'like 500ms, 60s, 5m').argParser(parseTimeout).default(60_000, '60s'))
    .option('--applied', 'only until it is applied: served values are up to date, the archive may follow')
    .addHelpText('after', EXAMPLES)
    .action(async ({ timeout, applied }: { timeout: number; applied?: boolean }, command: Command) => {
      await withWork(command, async ({ project, json, signal, progress }) => {
        const started = performance.now()
        const before = await appliedPositions(project)
        const applying = progress('apply and archive', 'events')
        await settle(project, { signal, onProgress: (moved) => applying.update(moved) })
        const waiting = progress('wait', 'records')
        let most = 0
        const onProgress = (remaining: number): void => {
          most = Math.max(most, remaining)
          waiting.update(most - remaining, most)
        }
        await waitUntilCaughtUp(project, { timeoutMs: timeout, signal, applied, onProgress })
        checkStopped(signal, () => 'the wait ended early; nothing else was touched.')
        const ms = Math.round(performance.now() - started)
        const events = await countAppliedSince(project, before)
        waiting.end()
        const done = events === 0 ? 'Everything was applied' : `${describeCount(events)} events were applied`
        print(json, { events, ms }, [
          `Caught up in ${describeMs(ms)}. ${done}${applied === true ? '' : ', and all is archived'}.`,
        ])
      })
    })
}

function parseTimeout(text: string): number {
  const match = /^(\d+)(ms|s|m|h)?$/.exec(text)
  if (match === null) throw failCli('TM_USAGE', `--timeout ${text}: expected a duration like 500ms, 60s or 5m`)
  return Number(match[1]) * UNITS[match[2] ?? 's']
}
