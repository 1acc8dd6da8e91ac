import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import { failStore } from '../stores/errors.ts'

/** An error as it goes from a worker thread to the export. */
export interface TaskFailure {
  /** With its stack, where it is nobody's message. */
  readonly text: string
  readonly isArchiveDamaged: boolean
}

export function describeFailure(error: unknown): TaskFailure {
  const isArchiveDamaged = isTidemarkError(error) && error.code === 'TM_ARCHIVE_DAMAGED'
  if (isArchiveDamaged) return { text: error.message, isArchiveDamaged }
  return { text: error instanceof Error ? (error.stack ?? error.message) : String(error), isArchiveDamaged }
}

export function failureOf({ text, isArchiveDamaged }: TaskFailure): Error {
  return isArchiveDamaged ? failStore('TM_ARCHIVE_DAMAGED', text) : new Error(text)
}
