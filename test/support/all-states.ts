import type { StreamContext } from '../../streams/stream-context.ts'

/** Every state of every view, by view version, bucket and key. */
export async function allStates(context: StreamContext): Promise<Map<string, { open: string; sealed: string | null }>> {
  const found = new Map<string, { open: string; sealed: string | null }>()
  for (const keyedLog of await context.registry.keyedLogs())
    for (const { version } of keyedLog.views)
      for (let bucket = 0; bucket < context.buckets; bucket++)
        for await (const { key, state } of context.online.scan({ keyedLog: keyedLog.name, bucket }, version))
          found.set(`${version}/${bucket}/${hex(key)}`, {
            open: hex(state.open),
            sealed: state.sealed === null ? null : hex(state.sealed),
          })
  return found
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
