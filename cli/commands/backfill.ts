import { setTimeout as pause } from 'node:timers/promises'
import type { Command } from 'commander'
import { failRegistry } from '../../registry/errors.ts'
import { viewProgress } from '../../streams/apply/live-views.ts'
import type { ViewProgress } from '../../streams/apply/live-views.ts'
import type { Project } from '../open-project.ts'
import { settle } from '../settle.ts'
import { describeCount, describeMs } from '../terminal/describe-amounts.ts'
import { checkStopped, print, withWork } from './with-project.ts'
import { describeKnown } from '../../features/errors/closest-name.ts'

const POLL_MS = 100
const EXAMPLES = `
A running \`tidemark start\` replays history by itself: then this shows how far it is, and waits. Stopped in any way, it goes on where it was.

Examples:
  tidemark backfill card_spend
  tidemark backfill card_spend --json
`

export function registerBackfill(program: Command): void {
  program
    .command('backfill <view>')
    .description('replay history into a new version of a view, until services can read it')
    .addHelpText('after', EXAMPLES)
    .action(async (name: string, _options: unknown, command: Command) => {
      await withWork(command, async ({ project, json, signal, progress }) => {
        const started = performance.now()
        let versions = await progressOf(project, name)
        const before = versions.reduce((sum, { records }) => sum + records, 0)
        const line = progress(`backfill ${name}`, 'records')
        const look = async (): Promise<void> => {
          versions = await progressOf(project, name)
          line.update(
            versions.reduce((sum, { records }) => sum + records, 0) - before,
            versions.reduce((sum, { recordsTotal }) => sum + recordsTotal, 0) - before,
          )
        }
        let last = look()
        const timer = setInterval(() => {
          last = last.then(look)
        }, POLL_MS)
        try {
          await settle(project, { signal })
          for (await look(); !versions.every(({ live }) => live) && !signal.aborted; await look()) await pause(POLL_MS)
        } finally {
          clearInterval(timer)
          await last
        }
        checkStopped(signal, () => `the replay of ${name} goes on where it is when you run this, or \`start\`, again.`)
        const ms = Math.round(performance.now() - started)
        const records = versions.reduce((sum, at) => sum + at.records, 0) - before
        print(json, { view: name, versions, records, ms }, [
          `${name} is live: ${describeCount(records)} records replayed in ${describeMs(ms)}.`,
        ])
      })
    })
}

/** The view's versions that are registered or served. TM_UNKNOWN_VIEW. */
async function progressOf(project: Project, name: string): Promise<ViewProgress[]> {
  const all = await viewProgress(project)
  const own = all.filter(({ view }) => view === name)
  if (own.length > 0) return own
  const known = [...new Set(all.map(({ view }) => view))]
  throw failRegistry('TM_UNKNOWN_VIEW', `no view ${JSON.stringify(name)} is registered: ${describeKnown(name, known)}`)
}
