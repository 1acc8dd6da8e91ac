import assert from 'node:assert/strict'
import type { CompiledService } from '../../features/kernel/compiled-view.ts'
import type { StateParts } from '../../features/kernel/state-parts.ts'
import { StateTable } from '../../features/kernel/state-table.ts'
import { ViewKernel } from '../../features/kernel/view-kernel.ts'
import { bucketOf, entityKeyBytes } from '../../features/values/entity-key.ts'
import { keyedLogOf } from '../../registry/keyed-logs.ts'
import { archiveFiles } from '../../stores/tables/archive-files.ts'
import type { AsOf } from '../../offline/export.ts'
import { assertCell } from './assert-cell.ts'
import { hasErrorCode } from './folders.ts'
import { batchOf } from './kernel-case.ts'
import { byValue } from './oracle-aggregations.ts'
import type { OracleCell, OracleEvent } from './oracle-view.ts'
import { query } from './platform.ts'
import type { Platform } from './platform.ts'
import type { Random } from './random.ts'
import { namedCells } from './stack-model.ts'
import type { ModelView, StackEntity, StackModel } from './stack-model.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
export const SPINE_ROWS = 400
export const ENTITIES: readonly StackEntity[] = [0, 1, 2, 3, 4].flatMap((key) =>
  [0n, 1n, 2n, 3n].map((shop) => ({ key: `k${key}`, shop })),
)

/** A service version as its name is served, and its views. */
export interface Served {
  readonly service: CompiledService
  readonly views: readonly ModelView[]
}

/** What a request got at its time (the clock's, which may be before its `evaluatedAt`). */
export interface Answer {
  /** Of the service. */
  readonly version: string
  readonly entity: StackEntity
  readonly t: number
  /** By full name. */
  readonly cells: ReadonlyMap<string, OracleCell>
}

/** Compares what is stored, archived and exported with the oracle's log. */
export class StackVerdict {
  readonly #platform: Platform
  readonly #model: StackModel
  readonly #random: Random

  constructor(platform: Platform, model: StackModel, random: Random) {
    this.#platform = platform
    this.#model = model
    this.#random = random
  }

  /** What the online store holds is, byte for byte, the state of a table that was fed all archived events at once. */
  async assertStates({ plan, version }: ModelView, positions: ReadonlyMap<OracleEvent, OracleEvent>): Promise<void> {
    const { context } = this.#platform
    const view = await context.registry.view(version)
    const kernel = new ViewKernel(view)
    for (const entity of ENTITIES) {
      const key = entityKeyBytes([plan.entity.columns[0].name === 'key' ? entity.key : entity.shop])
      const read = { keyedLog: keyedLogOf(view), bucket: bucketOf(key, context.buckets) }
      const [{ states }] = await context.online.read([{ ...read, keys: [{ view: version, key }] }])
      const table = new StateTable(kernel)
      const slot = table.open()
      const events = this.#random.shuffle(
        this.#model.ofEntity(plan, entity).map((event) => positions.get(event) ?? event),
      )
      table.apply(kernel.prepare(batchOf(view, events)), new Int32Array(events.length).fill(slot))
      const expected = table.newestTau(slot) === -Infinity ? null : table.encode(slot)
      assert.deepEqual(
        plainBytes(states[0]),
        plainBytes(expected),
        `state of ${plan.name}, ${entity.key} ${entity.shop}`,
      )
    }
  }

  /** The archive holds the accepted events, each once, per entity in the order of the oracle's log. Gives each its position. */
  async assertArchive(entity: string): Promise<Map<OracleEvent, OracleEvent>> {
    const { log, objects, tables } = this.#platform.context
    const topic = await log.topic(`keyed.events.${entity}`)
    const paths: string[] = []
    for (let partition = 0; topic !== null && partition < topic.partitions; partition++) {
      const place = { keyedLog: `events.${entity}`, incarnation: topic.incarnation, partition }
      for (const { name } of await archiveFiles({ objects, tables }, place)) paths.push(await objects.localPath(name))
    }
    const from = `read_parquet([${paths.map((path) => `'${path}'`).join(', ')}])`
    const column = entity === 'card' ? 'key' : 'shop'
    const rows =
      paths.length === 0
        ? []
        : await query(
            `SELECT key, shop, "at", __arrival AS arrival, label, __offset AS offs, __index AS idx FROM ${from} ORDER BY ${column}, __offset, __index`,
          )
    const groups = Map.groupBy(this.#model.taken, ({ fields }) => fields[column])
    const ordered = [...groups].sort(([a], [b]) => byValue(a, b)).flatMap(([, events]) => events)
    const found = rows.map((row) => [row.key, row.shop, Number(row.at), Number(row.arrival), row.label])
    const expected = ordered.map(({ fields, arrival }) => [fields.key, fields.shop, fields.at, arrival, fields.label])
    assert.deepEqual(found, expected, `archive of events.${entity}`)
    return new Map(
      ordered.map((event, i) => [event, { ...event, offset: Number(rows[i].offs), index: Number(rows[i].idx) }]),
    )
  }

  async assertExport(served: Served, asOf: 'arrival' | 'event-time', end: number): Promise<void> {
    const random = this.#random
    const { service, views } = served
    const anchors = this.#model.taken.flatMap(({ arrival, tau }) => [arrival, tau])
    const asked = Array.from({ length: SPINE_ROWS }, () => {
      const anchor = anchors.length === 0 ? end : random.pick(anchors)
      const t = anchor + random.pick([-1, 0, 1, 2, MINUTE, HOUR, random.below(20 * HOUR), random.below(900 * HOUR)])
      return { entity: random.pick(ENTITIES), t: Math.min(t, end) }
    })
    const rows = asked.map(({ entity, t }) => {
      const cells = namedCells(service, views, this.#model.trained(views, entity, t, asOf === 'event-time'))
      return { entity, t, cells }
    })
    await this.#assertRows(served, asOf, rows)
  }

  /** By the served clock: at the times of the answers that the service gave, these answers; at random times while it was served, what a request would have got; before, none. */
  async assertServedExport(
    served: Served,
    answers: readonly Answer[],
    { from, to }: { from: number; to: number },
  ): Promise<void> {
    const random = this.#random
    const { service, views } = served
    const given = answers.filter(({ version }) => version === service.version)
    const times = [from, to, ...given.map(({ t }) => t)]
    const others = Array.from({ length: SPINE_ROWS / 2 }, () => {
      const entity = random.pick(ENTITIES)
      const t = Math.min(Math.max(random.pick([from + random.below(to - from + 1), random.pick(times) - 1]), from), to)
      return { entity, t, cells: namedCells(service, views, this.#model.served(views, entity, t)) }
    })
    await this.#assertRows(served, 'served', random.shuffle([...given, ...others]))
    const early = { ...askedOf(views, ENTITIES[0]), timestamp: from - 1 }
    await assert.rejects(this.#platform.export('svc', [early], 'served'), hasErrorCode('TM_SPINE_TOO_EARLY'))
  }

  async #assertRows(
    { views }: Served,
    asOf: AsOf,
    expected: readonly { entity: StackEntity; t: number; cells: ReadonlyMap<string, OracleCell> }[],
  ): Promise<void> {
    const spine = expected.map(({ entity, t }) => ({ ...askedOf(views, entity), timestamp: t }))
    const { rows, manifest } = await this.#platform.export('svc', spine, asOf)
    assert.equal(rows.length, expected.length)
    const statuses = new Map<string, Record<string, number>>()
    expected.forEach(({ entity, t, cells }, i) => {
      for (const [name, { value, status }] of cells) {
        // A file holds values; statuses are judged by the manifest's counts.
        const found = { value: rows[i].values[name], status } as const
        assertCell(found, { value, status }, `exported by ${asOf}: ${name} of ${entity.key} ${entity.shop} at ${t}`)
        const counts = statuses.get(name) ?? {}
        statuses.set(name, counts)
        counts[status] = (counts[status] ?? 0) + 1
      }
    })
    for (const column of manifest.columns) assert.deepEqual(column.statuses, statuses.get(column.name), column.name)
  }
}

/** The key columns that the service has. */
export function askedOf(views: readonly ModelView[], { key, shop }: StackEntity): Record<string, unknown> {
  const names = new Set(views.flatMap(({ plan }) => plan.entity.columns.map(({ name }) => name)))
  return { ...(names.has('key') ? { key } : {}), ...(names.has('shop') ? { shop: Number(shop) } : {}) }
}

function plainBytes(state: StateParts | null): unknown {
  return state === null ? null : [state.open, state.sealed].map((part) => part && [...part])
}
