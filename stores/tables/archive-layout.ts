import type { FieldPlan } from '../../features/plan/field-type.ts'

const TIME: Omit<FieldPlan, 'name'> = { type: { kind: 'timestamp' }, nullable: false, nonFinite: 'reject' }

/** Columns of an archive file after the source's own: event time, arrival (epoch ms) and position. */
export const ARCHIVE_FIELDS: readonly FieldPlan[] = [
  { ...TIME, name: '__event_time' },
  { ...TIME, name: '__arrival' },
  { ...TIME, name: '__offset' },
  { ...TIME, name: '__index', type: { kind: 'int32' } },
]

/** Folder of a keyed partition's archive files (see `archive-files.ts`). */
export function archiveFolder(keyedLog: string, incarnation: string, partition: number): string {
  return `archive/${keyedLog}/${incarnation}/p${partition}/`
}

/** Progress scope `archive`, key `<keyed log>/<partition>`. */
export interface ArchiveProgress {
  readonly nextOffset: number
  /** Where the next file begins: the end of the last one, behind `nextOffset` where records after it held nothing new. */
  readonly nextFileOffset: number
  /** Log time up to which the archive is known to hold everything that had been appended. */
  readonly completeUntil: number
  /** Base64 of the origin high-waters. */
  readonly origins: string
}
