import { existsSync, readFileSync } from 'node:fs'
import { openProject } from '../../cli/open-project.ts'
import { exportTrainingSet } from '../../offline/export.ts'

/** One export in a process of its own, started cold: FOLDER SERVICE SPINE OUT [MEMORY_BYTES]. Prints `{seconds, peakMb, cpuSeconds}`. */
const [folder, service, spine, out, memory] = process.argv.slice(2)
const project = await openProject(folder)
const start = performance.now()
const cpuBefore = process.cpuUsage()
await exportTrainingSet(project, {
  service,
  spine,
  out,
  asOf: 'event-time',
  memoryBytes: memory === undefined ? undefined : Number(memory),
})
const seconds = (performance.now() - start) / 1000
const { user, system } = process.cpuUsage(cpuBefore)
await project.close()
const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : ''
const peakMb = Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
console.log(JSON.stringify({ seconds, peakMb, cpuSeconds: (user + system) / 1e6 }))
