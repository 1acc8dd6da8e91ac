import { globSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import type { ProofOptions } from './proofs/proof-options.ts'

/** `npm run -s prove -- NAME [--rounds N] [--seed S]`: a proof of test/proofs at its full count. */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string' }, seed: { type: 'string' } },
})
const folder = join(import.meta.dirname, 'proofs')
const names = globSync('*.ts', { cwd: folder })
  .map((file) => basename(file, '.ts'))
  .filter((name) => name !== 'proof-options')
  .sort()
const name = positionals[0] ?? ''
const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(values.seed)

if (positionals.length !== 1 || !names.includes(name)) {
  console.error(
    `prove NAME [--rounds N] [--seed S]: expected one of ${names.join(', ')}, found '${positionals.join(' ')}'`,
  )
  process.exitCode = 2
} else if (!Number.isInteger(seed) || (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0))) {
  console.error('prove: --rounds must be a positive whole number and --seed a whole number')
  process.exitCode = 2
} else {
  const { prove } = (await import(`./proofs/${name}.ts`)) as { prove: (options: ProofOptions) => Promise<void> }
  const replay = rounds === undefined ? '' : ` --rounds ${rounds}`
  console.log(`# ${name}: seed ${seed} (replay: npm run -s prove -- ${name} --seed ${seed}${replay})`)
  const start = performance.now()
  await prove({ seed, rounds })
  console.log(`${name} holds (${((performance.now() - start) / 1000).toFixed(1)} s)`)
}
