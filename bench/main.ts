import { globSync } from 'node:fs'
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import type { BenchResult } from './bench-result.ts'

/** `npm run -s bench -- NAME [--smoke] [--part PART]`: one benchmark, or a part of one that has several; the last line is its result as JSON. */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { smoke: { type: 'boolean' }, part: { type: 'string' } },
})
const names = globSync('*.ts', { cwd: import.meta.dirname })
  .map((file) => basename(file, '.ts'))
  .filter((name) => name !== 'main' && name !== 'bench-result')
  .sort()
const name = positionals[0] ?? ''

if (positionals.length !== 1 || !names.includes(name)) {
  console.error(`bench NAME [--smoke]: expected one of ${names.join(', ')}, found '${positionals.join(' ')}'`)
  process.exitCode = 2
} else {
  const { run } = (await import(`./${name}.ts`)) as {
    run: (options: { smoke: boolean; part?: string }) => Promise<BenchResult>
  }
  console.log(JSON.stringify(await run({ smoke: values.smoke === true, part: values.part })))
}
