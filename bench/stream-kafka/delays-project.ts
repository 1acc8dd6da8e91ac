import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { openProject } from '../../cli/open-project.ts'
import type { Project } from '../../cli/open-project.ts'
import { FeatureReader } from '../../inference/assemble.ts'
import { partitionStatus, sourceStatus } from '../../streams/wait.ts'
import { WINDOWS, windowName } from './delay-events.ts'
import type { DelayEvents, WindowValues } from './delay-events.ts'
import { LineProcess } from './line-process.ts'

const POLL_MS = 20
const FLAGS = ['--disable-warning=ExperimentalWarning', resolve('cli/main.ts'), '--project']

const definitions = (
  topic: string,
): string => `import { count, entity, featureService, featureView, max, mean, stream, sum, t } from 'tidemark'
export const station = entity('station', { station: t.string() })
export const delays = stream('delays', {
  topic: '${topic}',
  schema: { station: t.string(), destination: t.string(), distance: t.int32(), delay: t.float64(), ts: t.timestamp() },
  eventTime: 'ts',
})
export const stationDelays = featureView('station_delays', {
  entity: station, from: delays,
  features: {
${WINDOWS.map(
  ({ name, hopMs }) => `    count_${name}: count().over('${name}', { hop: '${hopMs / 60_000}m' }),
    sum_${name}: sum('delay').over('${name}', { hop: '${hopMs / 60_000}m' }),
    max_${name}: max('delay').over('${name}', { hop: '${hopMs / 60_000}m' }),
    mean_${name}: mean('delay').over('${name}', { hop: '${hopMs / 60_000}m' }),`,
).join('\n')}
  },
})
export const station_risk = featureService('station_risk', { features: [stationDelays.all()] })
`

/** A project whose events are delays on Kafka and whose states are in Redis; its metadata and archive are in its folder. */
export class DelaysProject {
  readonly folder: string
  readonly project: Project

  private constructor(folder: string, project: Project) {
    this.folder = folder
    this.project = project
  }

  static async make(
    folder: string,
    topic: string,
    engines: { readonly log: string; readonly online: string },
  ): Promise<DelaysProject> {
    mkdirSync(join(folder, 'features'), { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
    writeFileSync(join(folder, 'features', 'delays.ts'), definitions(topic))
    writeFileSync(join(folder, 'tidemark.config.ts'), `export default ${JSON.stringify(engines)}`)
    execFileSync(process.execPath, [...FLAGS, folder, 'apply'], { stdio: ['ignore', 'ignore', 'inherit'] })
    return new DelaysProject(folder, await openProject(folder))
  }

  /** `tidemark stream`, once it runs. */
  async startWorker(nodeFlags: readonly string[] = []): Promise<LineProcess> {
    const worker = new LineProcess(process.execPath, [...nodeFlags, ...FLAGS, this.folder, 'stream'])
    await worker.until(/runs/)
    return worker
  }

  /** Waits until everything in the source's topic is in the states. `onProgress`: records ingested. */
  async untilApplied(onProgress: (records: number) => void = () => {}): Promise<void> {
    const source = await sourceStatus(this.project)
    const ends = source.map(({ endOffset }) => endOffset)
    for (;;) {
      const ingested = await Promise.all(
        source.map(async ({ logName, partition }) => {
          const at = await this.project.metadata.readProgress<{ nextOffset: number }>(
            'ingest',
            `${logName}/${partition}`,
          )
          return at?.nextOffset ?? 0
        }),
      )
      onProgress(ingested.reduce((sum, offset) => sum + offset, 0))
      if (ingested.every((offset, i) => offset >= ends[i])) break
      await pause(POLL_MS)
    }
    while ((await partitionStatus(this.project)).some(({ appliedOffset, endOffset }) => appliedOffset < endOffset))
      await pause(POLL_MS)
  }

  /** Of every window that has events and ends at the events' end or later, as long as it was open then: read as a request would read it at that time. */
  async windows({ stations, end }: DelayEvents): Promise<WindowValues> {
    const { registry, online, buckets, partitions } = this.project
    const serving = (await registry.serviceAliases()).find(({ name }) => name === 'station_risk')?.serving ?? ''
    const service = await registry.service(serving)
    const rows = stations.map((station) => ({ station }))
    const values: WindowValues = new Map()
    for (const [w, { name, lengthMs, hopMs }] of WINDOWS.entries())
      for (let now = end; now < end + lengthMs; now += hopMs) {
        const reader = new FeatureReader({ registry, online, buckets, partitions, now: () => now, cacheBytesMax: 0 })
        for (const [i, vector] of (await reader.read(service, rows, [])).entries()) {
          const [count, sum, max, mean] = vector.values.slice(4 * w, 4 * w + 4).map(Number)
          if (count === 0) continue
          if (mean !== sum / count) throw new Error(`the mean of ${stations[i]} is ${mean}, expected ${sum / count}`)
          values.set(windowName(name, now, stations[i]), `${count} ${sum} ${max}`)
        }
      }
    return values
  }

  async close(): Promise<void> {
    await this.project.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
