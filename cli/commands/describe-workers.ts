import type { PartitionStatus } from '../../streams/wait.ts'
import { keyedPart } from '../../streams/workers/ownership.ts'
import type { PartOwner } from '../../streams/workers/worker-group.ts'
import { describeTime } from '../terminal/describe-amounts.ts'
import { paint } from '../terminal/style.ts'
import { formatTable } from '../terminal/table.ts'

/** Who does what, where more than one process does a role's work; a line for each worker. */
export function describeWorkers(parts: readonly PartOwner[]): string[] {
  const byWorker = Map.groupBy(parts, ({ worker }) => worker)
  const kinds = Map.groupBy(byWorker.values(), ([{ kind }]) => kind)
  if ([...kinds.values()].every((workers) => workers.length < 2)) return []
  const rows = [...byWorker].map(([worker, own]) => [
    own[0].kind,
    worker,
    own[0].about === null ? '' : describeTime(own[0].about.since),
    String(own.length),
    own.some(({ hasEnded }) => hasEnded) ? paint('red', 'gone') : own.map(({ part }) => part).join(' '),
  ])
  return formatTable(['work', 'worker', 'since', 'parts', ''], rows)
}

/** A line for each keyed partition: end of its log, how far it is applied and archived, and by whom. */
export function describePartitions(partitions: readonly PartitionStatus[], parts: readonly PartOwner[]): string[] {
  const ownerOf = (kind: PartOwner['kind'], part: string): string => {
    const owner = parts.find((one) => one.kind === kind && one.part === part)
    return owner === undefined || owner.hasEnded ? '-' : owner.worker
  }
  const rows = partitions.map(({ keyedLog, partition, endOffset, appliedOffset, archivedOffset }) => {
    const part = keyedPart(keyedLog, partition)
    return [
      part,
      String(endOffset),
      String(appliedOffset),
      ownerOf('stream', part),
      String(archivedOffset),
      ownerOf('archive', part),
    ]
  })
  return formatTable(['partition', 'end', 'applied', 'by', 'archived', 'by'], rows)
}
