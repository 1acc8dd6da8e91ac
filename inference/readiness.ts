import { keyedLogOf } from '../registry/keyed-logs.ts'
import type { Registry } from '../registry/registry.ts'
import type { OnlineStore } from '../stores/online/online-store.ts'

/**
 * Why features cannot be read yet, in words; empty: they can. A view that lags behind its log is read all the same: its stamps say how far it is, and a
 * server that refused would take the last good answer away.
 */
export async function unreadyReasons(registry: Registry, online: OnlineStore): Promise<string[]> {
  const services = await registry.services()
  if (services.length === 0) return ['no service is registered: run `tidemark apply`']
  const reasons: string[] = []
  for (const { plan } of services) {
    const waiting = new Set<string>()
    for (const { view, viewVersion } of plan.features)
      if (!waiting.has(view) && !(await isLive(registry, online, viewVersion))) waiting.add(view)
    if (waiting.size > 0)
      reasons.push(
        `service ${plan.name} waits for the history of ${[...waiting].join(', ')}: \`tidemark status\` shows how far it is`,
      )
  }
  return reasons
}

async function isLive(registry: Registry, online: OnlineStore, version: string): Promise<boolean> {
  const [marker] = await online.markers(keyedLogOf(await registry.view(version)), [0])
  return marker !== null && (await registry.viewSets.read(marker.views)).has(version)
}
