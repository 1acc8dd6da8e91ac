/** A typed array of at least `count` numbers with the old contents in front; the rest is `fill`. */
export function growFloats(old: Float64Array<ArrayBuffer>, count: number, fill: number = 0): Float64Array<ArrayBuffer> {
  if (old.length >= count) return old
  const grown = new Float64Array(count)
  grown.set(old)
  if (fill !== 0) grown.fill(fill, old.length)
  return grown
}
