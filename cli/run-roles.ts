import { ApplyRole } from '../streams/apply-role.ts'
import { ArchiveRole } from '../streams/archive.ts'
import { IngestRole } from '../streams/ingest.ts'
import { createTopics } from '../streams/stream-context.ts'
import type { StreamContext } from '../streams/stream-context.ts'

const IDLE_MS = 5
/** How often live events are archived: more often makes many small files. */
const ARCHIVE_EVERY_MS = 2000
export type RoleName = 'stream' | 'archive'

interface Role {
  runOnce(): Promise<number>
}

function createRoles(context: StreamContext, names: readonly RoleName[]): Role[] {
  const roles: Role[] = []
  if (names.includes('stream')) roles.push(new IngestRole(context), new ApplyRole(context))
  if (names.includes('archive')) roles.push(new ArchiveRole(context))
  return roles
}

/** Runs roles until aborted; each step finishes its flush before the next, so an abort loses nothing. */
export async function runRoles(context: StreamContext, names: readonly RoleName[], signal: AbortSignal): Promise<void> {
  await createTopics(context)
  const streams = createRoles(
    context,
    names.filter((name) => name === 'stream'),
  )
  const archives = createRoles(
    context,
    names.filter((name) => name === 'archive'),
  )
  let archivedAt = -Infinity
  while (!signal.aborted) {
    let moved = 0
    for (const role of streams) if (!signal.aborted) moved += await role.runOnce()
    if (performance.now() - archivedAt >= ARCHIVE_EVERY_MS) {
      for (const role of archives) if (!signal.aborted) await role.runOnce()
      archivedAt = performance.now()
    }
    await new Promise((resolve) => (moved > 0 ? setImmediate(resolve) : setTimeout(resolve, IDLE_MS)))
  }
}

/** Runs every role until nothing moves: what was appended is applied and archived. Returns how many events moved. */
export async function drain(context: StreamContext, onProgress: (moved: number) => void = () => {}): Promise<number> {
  await createTopics(context)
  const roles = createRoles(context, ['stream', 'archive'])
  let total = 0
  for (;;) {
    let moved = 0
    for (const role of roles) moved += await role.runOnce()
    total += moved
    if (moved === 0) return total
    onProgress(total)
  }
}
