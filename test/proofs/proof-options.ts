/** How often and from which seed a proof runs; without rounds at its full count. */
export interface ProofOptions {
  readonly rounds?: number
  readonly seed: number
}
