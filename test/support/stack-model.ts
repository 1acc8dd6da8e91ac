import { FeatureReader } from '../../inference/assemble.ts'
import type { CompiledService } from '../../features/kernel/compiled-view.ts'
import type { ViewPlan } from '../../features/plan/view-plan.ts'
import { oracleNewest, oracleView } from './oracle-view.ts'
import type { OracleCell, OracleEvent, OracleFunction } from './oracle-view.ts'
import type { EventFields } from './random-events.ts'

export interface StackEntity {
  readonly key: string
  readonly shop: bigint
}

/** A view of the service under test, as the oracle sees it. */
export interface ModelView {
  readonly version: string
  readonly plan: ViewPlan
  readonly functions: readonly OracleFunction[]
}

/** What was sent to the product and in which order it must have been taken in: the oracle's own log, made from the events as sent. */
export class StackModel {
  /** Taken in, in order. */
  readonly taken: OracleEvent[] = []
  /** How many of `taken` the online states hold. */
  applied = 0
  /** How many they held from when on, ascending. */
  readonly #history: { readonly from: number; readonly applied: number }[] = []
  readonly #waiting: EventFields[] = []
  readonly #imported = new Set<string>()

  produce(fields: EventFields): void {
    this.#waiting.push(fields)
  }

  /** Ingest takes in all that waits: it is known from now on. */
  ingest(now: number): void {
    for (const fields of this.#waiting.splice(0)) this.#take(fields, now)
  }

  /** All that was taken in is in the online states from now on. */
  apply(now: number): void {
    this.applied = this.taken.length
    this.#history.push({ from: now, applied: this.applied })
  }

  /** Rows of a file, with the given arrival; one that could not be known yet is refused. A file that was taken in before changes nothing. */
  import(file: string, rows: readonly EventFields[], arrivalField: 'at' | 'known', now: number): number {
    const refused = rows.filter((fields) => Number(fields[arrivalField]) > now).length
    const id = `${file} ${arrivalField}`
    if (!this.#imported.has(id))
      for (const fields of rows) {
        const arrival = Number(fields[arrivalField])
        if (arrival <= now) this.#take(fields, arrival)
      }
    this.#imported.add(id)
    return refused
  }

  #take(fields: EventFields, arrival: number): void {
    this.taken.push({ fields, arrival, tau: Math.min(Number(fields.at), arrival), offset: this.taken.length, index: 0 })
  }

  ofEntity(plan: ViewPlan, entity: StackEntity, among: readonly OracleEvent[] = this.taken): OracleEvent[] {
    const [{ name }] = plan.entity.columns
    const wanted = name === 'key' ? entity.key : entity.shop
    return among.filter(({ fields }) => fields[name] === wanted)
  }

  /** What a request at `now` must get from the states as applied, and its evaluation time. */
  online(
    views: readonly ModelView[],
    entity: StackEntity,
    now: number,
    applied: number = this.applied,
  ): { at: number; cells: OracleCell[][] } {
    const visible = views.map(({ plan }) => this.ofEntity(plan, entity, this.taken.slice(0, applied)))
    const newest = views.map(({ plan, functions }, v) => oracleNewest(plan, functions, visible[v]))
    const at = Math.max(now, ...newest.map((tau) => tau + 1))
    return { at, cells: views.map(({ plan, functions }, v) => oracleView(plan, functions, visible[v], at)) }
  }

  /** What a request at t, no longer now, must have got. */
  served(views: readonly ModelView[], entity: StackEntity, t: number): OracleCell[][] {
    const applied = this.#history.findLast(({ from }) => from <= t)?.applied ?? 0
    return this.online(views, entity, t, applied).cells
  }

  /** What a training row at t must hold. By event time: every event counts as known when it happened. */
  trained(views: readonly ModelView[], entity: StackEntity, t: number, byEventTime: boolean): OracleCell[][] {
    return views.map(({ plan, functions }) => {
      const events = this.ofEntity(plan, entity).map((event) =>
        byEventTime ? { ...event, arrival: Number(event.fields.at), tau: Number(event.fields.at) } : event,
      )
      return oracleView(
        plan,
        functions,
        events.filter(({ arrival }) => arrival < t),
        t,
      )
    })
  }
}

/** The cells of a vector by full name, from those of its views. */
export function namedCells(
  service: CompiledService,
  views: readonly ModelView[],
  cells: readonly OracleCell[][],
): Map<string, OracleCell> {
  const wanted = new Set(FeatureReader.names(service))
  return new Map(
    views.flatMap(({ plan }, v) =>
      plan.features
        .map(({ name }, f) => [`${plan.name}__${name}`, cells[v][f]] as const)
        .filter(([name]) => wanted.has(name)),
    ),
  )
}
