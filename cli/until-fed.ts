import { setTimeout as pause } from 'node:timers/promises'
import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import { whileFed } from '../streams/feeds/source-feeds.ts'
import type { Project } from './open-project.ts'
import { settle } from './settle.ts'

const POLL_MS = 100

/** Waits while a source's keyed logs are being filled, and fills them where no role does. */
export async function untilFed(project: Project, source: string, signal?: AbortSignal): Promise<void> {
  const plan = await project.registry.source(source)
  while (signal?.aborted !== true) {
    try {
      return await whileFed(project, plan, async () => {})
    } catch (error) {
      if (!isTidemarkError(error) || error.code !== 'TM_SOURCE_FILLING') throw error
      await settle(project, { signal })
      await pause(POLL_MS)
    }
  }
}
