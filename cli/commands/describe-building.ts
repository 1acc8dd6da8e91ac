import type { ViewProgress } from '../../streams/apply/live-views.ts'

/** View versions on their way to being served; services read the version before until they have caught up. */
export function buildingRows(views: readonly ViewProgress[]): string[][] {
  return views
    .filter(({ live }) => !live)
    .map(({ view, version, records, recordsTotal, filling }) => [
      view,
      version.slice(0, 12),
      filling ? 'its keyed log is filled' : 'history is replayed',
      recordsTotal === 0 ? '-' : `${Math.floor((100 * records) / recordsTotal)} %`,
    ])
}

/** The same as sentences. */
export function describeBuilding(views: readonly ViewProgress[]): string[] {
  return buildingRows(views).map(
    ([view, version, what, percent]) => `${view} ${version} is being built: ${what}, ${percent}`,
  )
}
