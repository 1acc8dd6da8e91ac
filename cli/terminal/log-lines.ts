import { paint } from './style.ts'

export type LogLevel = 'info' | 'warn' | 'error'

export interface LogEntry {
  readonly time: string
  readonly level: LogLevel
  /** Which part speaks: a role, or `start`. */
  readonly role: string
  readonly message: string
  readonly [field: string]: unknown
}

export type LogLines = (level: LogLevel, role: string, message: string, fields?: Record<string, unknown>) => void

/** What a long-running process says: a plain line for people, or with --json one document a line for machines. */
export function createLogLines(json: boolean): LogLines {
  return (level, role, message, fields = {}) => {
    const entry: LogEntry = { ...fields, time: new Date().toISOString(), level, role, message }
    process.stdout.write(json ? `${JSON.stringify(entry)}\n` : `${forPeople(entry)}\n`)
  }
}

function forPeople({ level, role, message }: LogEntry): string {
  const time = new Date().toTimeString().slice(0, 8)
  const text = level === 'error' ? paint('red', message) : level === 'warn' ? paint('yellow', message) : message
  return `${paint('dim', time)} ${paint('cyan', role.padEnd(8))} ${text}`
}
