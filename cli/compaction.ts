import { join } from 'node:path'
import { sealFlushJournals } from '../stores/online/seal-journals.ts'
import { COMPACTION } from '../streams/workers/ownership.ts'
import { openTables } from '../stores/tables/open-tables.ts'
import { CompactionRole } from '../streams/archive/compact-archive.ts'
import type { StreamContext } from '../streams/stream-context.ts'
import type { DataGates } from './data-gates.ts'
import { repeatWork } from './repeat-work.ts'
import type { WorkPlace } from './repeat-work.ts'

type GatedContext = StreamContext & { readonly gates: DataGates; readonly flushJournalKeepMs: number }

const COMPACT_EVERY_MS = 15_000
/** The longest that an export may take between listing a partition's files and having read them. */
const GRACE_MS = 15 * 60_000
/** Beside the streams, not in their way. */
const THREADS = 1
const MEMORY_MB_MAX = 1024

/** Compacts the archive and the flush journals beside other roles until aborted. */
export async function compactUntil(context: GatedContext, dataFolder: string, place: WorkPlace): Promise<void> {
  await withCompaction(context, dataFolder, (role) =>
    repeatWork(place, COMPACTION, COMPACT_EVERY_MS, () => compact(context, role, place.signal)),
  )
}

/** Compacts both now, after a command that applied and archived by itself. */
export async function compactOnce(context: GatedContext, dataFolder: string, signal?: AbortSignal): Promise<void> {
  await withCompaction(context, dataFolder, async (role) => {
    const step = await context.gates.enterWork(signal)
    await compact(context, role, signal).finally(() => step?.release())
  })
}

async function compact(context: GatedContext, role: CompactionRole, signal?: AbortSignal): Promise<void> {
  await role.runOnce(signal)
  await sealFlushJournals(context, { keepMs: context.flushJournalKeepMs }, signal)
}

async function withCompaction(
  context: GatedContext,
  dataFolder: string,
  run: (role: CompactionRole) => Promise<void>,
): Promise<void> {
  const temporaryFolder = join(dataFolder, 'duckdb')
  const tables = await openTables({ temporaryFolder, threads: THREADS, memoryMbMax: MEMORY_MB_MAX })
  try {
    await run(new CompactionRole({ ...context, tables }, { wallClock: Date.now, graceMs: GRACE_MS }))
  } finally {
    await tables.close()
  }
}
