import type { Command } from 'commander'
import type { Fault, Remedy } from '../../streams/repair/partition-repair.ts'
import { repairLogs } from '../../streams/repair/repair-logs.ts'
import type { RepairOptions } from '../../streams/repair/partition-repair.ts'
import { settle } from '../settle.ts'
import { describeCount } from '../terminal/describe-amounts.ts'
import { paint } from '../terminal/style.ts'
import { changeHistory, print, withWork } from './with-project.ts'
import type { Work } from './with-project.ts'

const EXAMPLES = `
Looks for what keeps streams and archive from the end of a keyed log: blocks that are missing (TM_STREAM_GAP) or damaged (TM_BLOCK_UNREADABLE). Without --yes it only
tells. With --yes, what is missing is put back where it stood or sent again, from source topics and dead letters; blocks behind a gap that will be sent again are
skipped. It works beside a running \`tidemark start\`, whose stopped partitions then go on, and alone; stopped or killed, run it again.

Examples:
  tidemark repair                      what is stopped, why, and what would be done
  tidemark repair --yes
  tidemark repair --yes --accept-loss  an import has a gap and its file is gone: go on with the rest of it
`

interface Outcome {
  readonly mended: boolean
  readonly faults: readonly Fault[]
  /** Whether every event is there afterwards, without anything else to do. */
  readonly complete: boolean
}

export function registerRepair(program: Command): void {
  program
    .command('repair')
    .description('mend keyed logs in which blocks are missing or damaged')
    .option('--yes', 'do it; else only tell what would be done')
    .option('--accept-loss', 'keep what is left of an import with a gap, without what is missing')
    .addHelpText('after', EXAMPLES)
    .action(async ({ yes = false, acceptLoss = false }: { yes?: boolean; acceptLoss?: boolean }, command: Command) => {
      await withWork(command, async (work) => {
        const faults = yes ? await mend(work, { acceptLoss }) : await look(work, { acceptLoss })
        const complete = faults.every(({ remedy }) => remedy !== 'lost' && remedy !== 'import-again')
        const outcome: Outcome = { mended: yes, faults, complete }
        print(work.json, outcome, describe(outcome))
      })
    })
}

async function look({ project, progress }: Work, options: RepairOptions): Promise<Fault[]> {
  const line = progress('look', 'partitions')
  return repairLogs(project, { ...options, mend: false, onProgress: (done, total) => line.update(done, total) })
}

async function mend(work: Work, options: RepairOptions): Promise<Fault[]> {
  const { project, signal, progress } = work
  const line = progress('repair', 'partitions')
  const onProgress = (done: number, total: number): void => line.update(done, total)
  const faults = await changeHistory(work, () => repairLogs(project, { ...options, mend: true, onProgress }))
  const applying = progress('apply', 'events')
  if (faults.length > 0) await settle(project, { signal, onProgress: (moved) => applying.update(moved) })
  return faults
}

function describe({ mended, faults, complete }: Outcome): string[] {
  if (faults.length === 0) return ['Nothing to repair: every keyed log is readable to its end.']
  const lines = faults.flatMap((fault) => describeFault(fault, mended))
  if (!mended) return [...lines, '', 'Nothing was changed: `tidemark repair --yes` does this.']
  return [...lines, '', complete ? paint('green', 'Nothing is lost.') : paint('yellow', 'Not all events are back yet.')]
}

function describeFault(fault: Fault, mended: boolean): string[] {
  const { keyedLog, partition, code, offset, producer, skippedBlocks, skippedEvents } = fault
  const where = offset === null ? 'at its end' : `at offset ${offset}`
  const skipped =
    skippedBlocks === 0 || code === 'TM_BLOCK_UNREADABLE'
      ? []
      : [
          `  ${describeCount(skippedBlocks)} blocks behind the gap with ${describeCount(skippedEvents)} events ${mended ? 'were' : 'would be'} skipped: they come again`,
        ]
  return [
    `${paint('red', code)} ${keyedLog}/${partition} ${where}: ${producer === null ? 'whose events is not known' : `events of ${producer}`}`,
    ...skipped,
    `  ${REMEDIES[fault.remedy](fault, mended)}`,
  ]
}

const REMEDIES: Readonly<Record<Remedy, (fault: Fault, mended: boolean) => string>> = {
  restored: ({ events }, mended) =>
    `${describeCount(events ?? 0)} events ${mended ? 'were' : 'would be'} put back in their place; nothing is lost`,
  'sent-again': ({ events }, mended) =>
    `${describeCount(events ?? 0)} events ${mended ? 'were' : 'would be'} sent again; nothing is lost`,
  'import-again': () =>
    'import the same file again: what is missing comes in, nothing counts twice. Is it gone? Then --accept-loss keeps the rest of it',
  lost: (_, mended) =>
    `${paint('red', 'lost')}: nothing holds the missing events any more; what follows ${mended ? 'was' : 'would be'} kept`,
  none: (_, mended) =>
    `${mended ? 'skipped' : 'would be skipped'}: no producer misses its events, or streams and archive have them. If it was the last of an import, import that file again`,
}
