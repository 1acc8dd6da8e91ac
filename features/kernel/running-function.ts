/*
 * Which user function this thread runs now, in shared memory: a thread beside it can name the one that does not return (`cli/roles/hang-watch.ts`).
 *
 *   u8 length of the text, 0: none · UTF-8 text
 */
const TEXT_BYTES_MAX = 255
const memory = new Uint8Array(new SharedArrayBuffer(1 + TEXT_BYTES_MAX))
const encoder = new TextEncoder()
const encoded = new WeakMap<object, Map<string, Uint8Array>>()

/** For another thread to read with `describeRunning`. */
export const runningFunction: Uint8Array<SharedArrayBuffer> = memory

/**
 * Runs a part that calls a user function, for one row or many. `owner`: the plan that it belongs to, `name` what it computes there, `describe` both in words for people (at most 255
 * bytes count).
 */
export function running<T>(owner: object, name: string, describe: () => string, run: () => T): T {
  const text = textOf(owner, name, describe)
  memory.set(text, 1)
  memory[0] = text.length
  try {
    return run()
  } finally {
    memory[0] = 0
  }
}

function textOf(owner: object, name: string, describe: () => string): Uint8Array {
  let texts = encoded.get(owner)
  if (texts === undefined) encoded.set(owner, (texts = new Map()))
  let text = texts.get(name)
  if (text === undefined) texts.set(name, (text = encoder.encode(describe()).subarray(0, TEXT_BYTES_MAX)))
  return text
}

/** null: none. */
export function describeRunning(memory: Uint8Array): string | null {
  const length = memory[0]
  return length === 0 ? null : new TextDecoder().decode(memory.slice(1, 1 + length))
}
