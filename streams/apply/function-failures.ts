import type { FunctionFailure } from '../../features/kernel/function-failures.ts'
import { FunctionFailures } from '../../features/kernel/function-failures.ts'
import type { ViewKernel } from '../../features/kernel/view-kernel.ts'
import type { MetadataStore } from '../../stores/metadata/metadata-store.ts'

const SCOPE = 'function-failures'

interface Held {
  readonly view: string
  readonly version: string
  readonly failures: readonly FunctionFailure[]
}

/**
 * Adds what a kernel counted since the last call to what is known of its view version in a keyed partition, which has one writer: its owner. Counts are written after
 * the flush that they belong to, so a crash in between loses them; a replay of events counts again.
 */
export async function recordFunctionFailures(
  metadata: MetadataStore,
  keyedPartition: string,
  { view, failures }: ViewKernel,
): Promise<void> {
  if (failures.isEmpty) return
  const key = `${view.version}/${keyedPartition}`
  const sum = new FunctionFailures()
  sum.add((await metadata.readProgress<Held>(SCOPE, key))?.failures ?? [])
  sum.add(failures.take())
  const held: Held = { view: view.plan.name, version: view.version, failures: sum.list() }
  await metadata.writeProgress(SCOPE, key, held)
}

export interface ViewFunctionFailure extends FunctionFailure {
  readonly view: string
  readonly version: string
}

/** What the streams counted, over all partitions, by view version, function and code. */
export async function readFunctionFailures(metadata: MetadataStore): Promise<ViewFunctionFailure[]> {
  const views = new Map<string, { view: string; sum: FunctionFailures }>()
  for (const { view, version, failures } of (await metadata.listProgress<Held>(SCOPE)).values()) {
    const entry = views.get(version) ?? { view, sum: new FunctionFailures() }
    views.set(version, entry)
    entry.sum.add(failures)
  }
  return [...views].flatMap(([version, { view, sum }]) => sum.list().map((failure) => ({ view, version, ...failure })))
}
