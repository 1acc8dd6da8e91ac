import { openProject } from '../../cli/open-project.ts'
import { readFileSync } from 'node:fs'

/** usage: in-process.ts PROJECT BODIES SECONDS. One thread reads one random entity after the other; prints p50 and p99. */
const [folder, bodies, seconds] = process.argv.slice(2)
const project = await openProject(folder)
const entities = readFileSync(bodies, 'utf8')
  .trim()
  .split('\n')
  .map((line) => (JSON.parse(line) as { entities: [Record<string, string>] }).entities[0])
const service = await project.registry.service('delay_risk')
let seed = 7
const times: number[] = []
const read = async (): Promise<number> => {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
  const entity = entities[(seed >>> 8) % entities.length]
  const start = performance.now()
  await project.reader.read(service, [entity], [])
  return performance.now() - start
}
const cold: number[] = []
for (let i = 0; i < 3000; i++) cold.push(await read())
for (const end = performance.now() + Number(seconds) * 1000; performance.now() < end;) times.push(await read())
times.sort((a, b) => a - b)
console.log(
  JSON.stringify({
    calls: times.length,
    p50Ms: times[times.length >> 1],
    p99Ms: times[Math.floor(times.length * 0.99)],
  }),
)
await project.close()
