import { failCli } from '../errors.ts'

/** `key=value` arguments. TM_USAGE. */
export function parsePairs(pairs: readonly string[]): Map<string, string> {
  return new Map(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) throw failCli('TM_USAGE', `${pair}: expected key=value`)
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}
