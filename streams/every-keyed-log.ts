import { groupByKeyedLog } from '../registry/keyed-logs.ts'
import type { KeyedLog } from '../registry/keyed-logs.ts'
import type { Registry } from '../registry/registry.ts'

/** Every keyed log that any view version ever had: what is no longer read holds events all the same. */
export async function everyKeyedLog(registry: Registry): Promise<KeyedLog[]> {
  const versions = await registry.viewVersions()
  return groupByKeyedLog(await Promise.all(versions.map(({ version }) => registry.view(version))))
}
