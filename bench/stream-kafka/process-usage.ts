import { readFileSync } from 'node:fs'

/** Of what the system counts. */
export const TICKS_PER_SECOND = 100

/** User and system time of a process, all its threads. Linux. */
export function processorSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // After the name, which may hold anything: state, then 10 numbers, then both in ticks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** The most that a process ever had resident, MiB. Linux. */
export function residentMiBMax(pid: number): number {
  const kib = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Math.round(Number(kib) / 1024)
}
