import type { Command } from 'commander'
import { waitUntilCaughtUp } from '../../streams/wait.ts'
import { failCli } from '../errors.ts'
import { appliedPositions, countAppliedSince } from '../../streams/applied-events.ts'
import { settle } from '../settle.ts'
import { print, withProject } from './with-project.ts'

export function registerWait(program: Command): void {
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
        const before = await appliedPositions(project)
        await settle(project)
        await waitUntilCaughtUp(project, { timeoutMs })
        const ms = Math.round(performance.now() - started)
        const events = await countAppliedSince(project, before)
        print(json, { events, ms }, [`Caught up in ${ms} ms: ${events} events applied meanwhile.`])
      })
    })
}
