import { failCli } from '../errors.ts'

/** A TCP port; 0 asks for any free one. TM_USAGE. */
export function parsePort(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535)
    throw failCli('TM_USAGE', `--port ${text}: expected a whole number from 0 (any free port) to 65535`)
  return port
}
