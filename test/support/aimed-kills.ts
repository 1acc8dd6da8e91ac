import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises'
import { openProject } from '../../cli/open-project.ts'
import type { Project } from '../../cli/open-project.ts'
import { drain } from '../../cli/run-roles.ts'
import { keyedLogOf } from '../../registry/keyed-logs.ts'
import { archiveCandidates } from '../../stores/tables/archive-files.ts'
import { produce } from '../../streams/produce.ts'
import type { Random } from './random.ts'

/** A tree of processes that was started on the project. */
export interface Tree {
  kill(): Promise<void>
}

export interface AimedKillsOptions {
  readonly project: string
  readonly random: Random
  readonly start: () => Tree
}

/** So many small files of each partition make a merge. */
const FILES_TO_MERGE = 16
const WAIT_MS_MAX = 30_000

/** Kills of whole process trees that wait for what they are to hit; in which phase each landed is read from the stores afterwards. */
export class AimedKills {
  /** How many kills landed in each phase. */
  readonly landed = new Map<string, number>()
  readonly #options: AimedKillsOptions

  constructor(options: AimedKillsOptions) {
    this.#options = options
  }

  /** Makes small archive files of the lines that `events` gives, and kills a tree while it merges them. */
  async inCompaction(source: string, events: () => readonly string[]): Promise<void> {
    const { project: folder, random, start } = this.#options
    await this.#opened(async (project) => {
      for (let file = 0; file < FILES_TO_MERGE; file++) {
        await produce(project, source, events())
        await drain(project)
      }
    })
    const temporary = (): string[] =>
      readdirSync(join(folder, '.tidemark/objects/.tmp')).filter((name) => name.endsWith('.parquet'))
    const before = new Set(temporary())
    const mergedBefore = await this.#opened(mergedFiles)
    const tree = start()
    const deadline = performance.now() + WAIT_MS_MAX
    while (temporary().every((name) => before.has(name)) && performance.now() < deadline) await turn()
    await pause(random.below(40))
    await tree.kill()
    const isWriting = temporary().some((name) => !before.has(name))
    const merged = (await this.#opened(mergedFiles)) - mergedBefore
    this.#land(
      isWriting
        ? 'compaction, while a merged file was written'
        : merged > 0
          ? 'compaction, after a merge'
          : 'compaction, missed',
    )
  }

  /** Registers changed definitions, and kills a tree while it replays history for the service's new view version or hands it over. */
  async inHandOver(service: string, change: () => void): Promise<void> {
    const { random, start } = this.#options
    const aim = random.pick(['replay', 'between the joins of its partitions'])
    await this.#opened(async (project) => {
      change()
      await project.registry.apply(project.directory, Math.floor(project.now()))
      const { plan } = await project.registry.registeredService(service)
      const { viewVersion } = plan.features[0]
      const tree = start()
      const deadline = performance.now() + WAIT_MS_MAX
      let phase = await handOverPhase(project, viewVersion)
      while (phase !== aim && phase !== 'done' && performance.now() < deadline) {
        await turn()
        phase = await handOverPhase(project, viewVersion)
      }
      await tree.kill()
      this.#land(`hand-over, ${await handOverPhase(project, viewVersion)}`)
    })
  }

  async #opened<T>(body: (project: Project) => Promise<T>): Promise<T> {
    const project = await openProject(this.#options.project)
    try {
      return await body(project)
    } finally {
      await project.close()
    }
  }

  #land(phase: string): void {
    this.landed.set(phase, (this.landed.get(phase) ?? 0) + 1)
  }
}

/** How far a view version is on its way into the live sets of its keyed log, by the markers of all buckets. */
async function handOverPhase(project: Project, version: string): Promise<string> {
  const { online, registry } = project
  const keyedLog = keyedLogOf(await registry.view(version))
  const buckets = Array.from({ length: project.buckets }, (_, bucket) => bucket)
  let joined = 0
  for (const marker of await online.markers(keyedLog, buckets))
    if (marker !== null && (await registry.viewSets.read(marker.views)).has(version)) joined++
  if (joined === buckets.length) return 'done'
  if (joined > 0) return 'between the joins of its partitions'
  const own = await online.markers(keyedLog, buckets, version)
  return own.some((marker) => marker !== null) ? 'replay' : 'not begun'
}

async function mergedFiles({ registry, log, objects }: Project): Promise<number> {
  let merged = 0
  for (const { name } of await registry.keyedLogs()) {
    const topic = await log.topic(`keyed.${name}`)
    for (let partition = 0; topic !== null && partition < topic.partitions; partition++) {
      const place = { keyedLog: name, incarnation: topic.incarnation, partition }
      merged += (await archiveCandidates({ objects }, place)).filter(({ level }) => level > 0).length
    }
  }
  return merged
}
