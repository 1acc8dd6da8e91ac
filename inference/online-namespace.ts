import { createHash } from 'node:crypto'
import type { KeyedLog } from '../registry/registry.ts'

/** Hash over the sorted view versions that the states of a keyed log cover. */
export function viewsHash(keyedLog: KeyedLog): string {
  const versions = keyedLog.views.map(({ version }) => version).sort()
  return createHash('sha256').update(versions.join('\n')).digest('hex')
}

/** Where the states of this set of views live in the online store: another set starts from the beginning of the log, beside the old one. */
export function onlineNamespace(keyedLog: KeyedLog): string {
  return `${keyedLog.name}@${viewsHash(keyedLog).slice(0, 16)}`
}
