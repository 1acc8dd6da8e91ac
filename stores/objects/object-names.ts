import { failStore } from '../errors.ts'

const NAME = /^[A-Za-z0-9._=-]+(?:\/[A-Za-z0-9._=-]+)*$/

/** Where adapters keep temporary files; no object's. */
export const TEMPORARY = '.tmp'

/** TM_OBJECT_NAME. */
export function checkObjectName(name: string): void {
  if (NAME.test(name) && !name.split('/').some((segment) => ['.', '..', TEMPORARY].includes(segment))) return
  throw failStore(
    'TM_OBJECT_NAME',
    `${JSON.stringify(name)} is not an object name: segments of letters, digits and . _ = -, separated by /`,
  )
}

/** The folder that a prefix of names lies in, '' for the root. TM_OBJECT_NAME. */
export function folderOfPrefix(prefix: string): string {
  const folder = prefix.includes('/') ? prefix.slice(0, prefix.lastIndexOf('/')) : ''
  if (folder !== '') checkObjectName(folder)
  return folder
}
