const actions: (() => void)[] = []

/** Runs when this process ends by itself, last one first; a process that is killed runs nothing. */
export function atExit(action: () => void): void {
  if (actions.length === 0) process.once('exit', () => actions.toReversed().forEach((act) => act()))
  actions.push(action)
}
