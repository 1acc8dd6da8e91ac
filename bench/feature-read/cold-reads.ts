import { createHash } from 'node:crypto'
import { openProject } from '../../cli/open-project.ts'
import { Random } from '../../test/support/random.ts'

/**
 * usage: cold-reads.ts PROJECT CARDS READS SEED. One thread reads different cards in random order, each for the first time: every state comes from the store
 * and is evaluated. The kernel and its code are warm: other cards were read before. Prints calls, p50, p99, reads a second and a hash of the values.
 */
const [folder, cards, reads, seed] = process.argv.slice(2)
const project = await openProject(folder)
const service = await project.registry.service('spending')
const order = new Random(Number(seed)).shuffle(Array.from({ length: Number(cards) }, (_, i) => i))
const warm = Math.min(3000, Number(cards) >> 1)
const hash = createHash('sha256')
const times: number[] = []
let spent = 0
for (let i = 0; i < Math.min(warm + Number(reads), order.length); i++) {
  const start = performance.now()
  const [vector] = await project.reader.read(service, [{ card: `c${order[i]}` }], [])
  const time = performance.now() - start
  hash.update(JSON.stringify(vector.values))
  if (i < warm) continue
  times.push(time)
  spent += time
}
times.sort((a, b) => a - b)
console.log(
  JSON.stringify({
    calls: times.length,
    p50Ms: times[times.length >> 1],
    p99Ms: times[Math.floor(times.length * 0.99)],
    readsPerSecond: (times.length / spent) * 1000,
    hash: hash.digest('hex'),
  }),
)
await project.close()
