import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface SystemUser {
  readonly uid: number
  readonly gid: number
}

/** A command line that the kernel kills when its parent ends, even by kill -9; on Linux, by setpriv (util-linux). */
export function killWithParent(command: string, args: readonly string[], user?: SystemUser): [string, string[]] {
  const setpriv = findProgram('setpriv')
  if (setpriv === undefined) {
    if (user !== undefined)
      throw new Error(`cannot run ${command} as user ${user.uid}: expected setpriv (Debian: util-linux)`)
    return [command, [...args]]
  }
  const asUser = user === undefined ? [] : [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups']
  return [setpriv, [...asUser, '--pdeathsig=KILL', '--', command, ...args]]
}

/** Where PATH has a program. */
export function findProgram(name: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
