import { access, constants, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { failOffline } from './errors.ts'

/** Refuses, before any work is done, an output that could not be put in its place at the end. TM_EXPORT_OUTPUT. */
export async function checkOutput(out: string, spine: string): Promise<void> {
  const folder = dirname(resolve(out))
  const found = await stat(folder).catch(() => null)
  if (found === null) throw refused(out, `the folder ${folder} does not exist: make it, or choose another one`)
  if (!found.isDirectory()) throw refused(out, `${folder} is no folder: choose another one`)
  await access(folder, constants.W_OK).catch(() => {
    throw refused(out, `files cannot be made in ${folder}: give this user the right to, or choose another folder`)
  })
  // What stands there is replaced as a whole; a device or a pipe would be lost.
  for (const path of [out, `${out}.manifest.json`]) {
    const there = await stat(path).catch(() => null)
    if (there !== null && !there.isFile())
      throw refused(out, `${path} is ${there.isDirectory() ? 'a folder' : 'no plain file'}: choose another name`)
  }
  const place = join(await realpath(folder), basename(out))
  if ((await realpath(spine).catch(() => spine)) === (await realpath(place).catch(() => place)))
    throw refused(out, 'that is the spine, which the export would replace: choose another name')
}

function refused(out: string, reason: string): Error {
  return failOffline('TM_EXPORT_OUTPUT', `${out} cannot be written: ${reason}`, { details: { path: out } })
}
