import { failCli } from '../errors.ts'

/** `key=value` arguments. TM_USAGE. */
export function parsePairs(pairs: readonly string[]): Map<string, string> {
  const values = new Map<string, string>()
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    if (at < 1) throw failCli('TM_USAGE', `${pair}: expected key=value`)
    const key = pair.slice(0, at)
    if (values.has(key)) throw failCli('TM_USAGE', `${key} is given twice`)
    values.set(key, pair.slice(at + 1))
  }
  return values
}
