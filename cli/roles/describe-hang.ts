/** `hung`: see `takeHang`. What it was, and what to do. */
export function describeHang(hung: string | null): string {
  return hung === null
    ? 'it was in no function of a definition, but stopped, or in a call that did not return (a store on a disk that hangs?)'
    : `${hung}, a function of a definition that does not return for some event or request, such as a pattern that backtracks without end: apply a corrected one; what it was called for waits`
}
