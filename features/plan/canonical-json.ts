/**
 * Canonical JSON (the subset of RFC 8785 that plans need): object keys sorted by UTF-16 code units, no white space, strings and numbers as
 * ECMAScript's JSON.stringify writes them. Throws on undefined, functions, bigint and non-finite numbers, which plans never hold.
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`a plan holds the number ${value}`)
    return JSON.stringify(Object.is(value, -0) ? 0 : value)
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object') throw new TypeError(`a plan holds a ${typeof value}`)
  const parts: string[] = []
  for (const key of Object.keys(value).sort()) {
    parts.push(`${JSON.stringify(key)}:${canonicalJson((value as Record<string, unknown>)[key])}`)
  }
  return `{${parts.join(',')}}`
}
