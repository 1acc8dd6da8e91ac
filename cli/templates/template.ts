/** A project to begin with. */
export interface Template {
  /** Text by path. Events are made to have happened just before `now`, so that windows hold them. */
  readonly files: (now: number) => Readonly<Record<string, string>>
  readonly source: string
  readonly service: string
  /** Keys and request fields for a first `get`. */
  readonly example: string
}
