import type { Command } from 'commander'
import { verifyServed } from '../../offline/verify.ts'
import type { VerifyReport } from '../../offline/verify.ts'
import { failCli } from '../errors.ts'
import { settle } from '../settle.ts'
import { describeCount } from '../terminal/describe-amounts.ts'
import { paint } from '../terminal/style.ts'
import { checkStopped, print, withWork } from './with-project.ts'

const SHOWN_MISMATCHES = 20
const EXAMPLES = `
Recomputes served vectors (a sample is logged) from the archive, with the registered code, at the positions that their stamps name.

Examples:
  tidemark verify
  tidemark verify --sample 1000 --json
`

export function registerVerify(program: Command): void {
  program
    .command('verify')
    .description('served vectors against the archive, byte for byte; exit 1 on a mismatch')
    .option('--sample <n>', 'the newest n vectors only', parseSample)
    .addHelpText('after', EXAMPLES)
    .action(async ({ sample }: { sample?: number }, command: Command) => {
      await withWork(command, async ({ project, json, signal, progress }) => {
        const stopped = (): void => checkStopped(signal, () => 'nothing was changed.')
        const applying = progress('apply and archive', 'events')
        await settle(project, { signal, onProgress: (moved) => applying.update(moved) })
        stopped()
        applying.end()
        const report = await verifyServed(project, { sample })
        stopped()
        print(json, report, describe(report))
        if (report.mismatches.length > 0) process.exitCode = 1
      })
    })
}

function parseSample(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw failCli('TM_USAGE', `--sample ${text}: expected a whole number above 0`)
  return Number(text)
}

function describe({ rows, values, pending, mismatches }: VerifyReport): string[] {
  const lines = mismatches
    .slice(0, SHOWN_MISMATCHES)
    .map(({ requestId, feature, cause }) => `${paint('red', 'mismatch')} ${feature} (request ${requestId}): ${cause}`)
  if (mismatches.length > SHOWN_MISMATCHES)
    lines.push(`… and ${describeCount(mismatches.length - SHOWN_MISMATCHES)} more (--json has them all)`)
  const verdict =
    mismatches.length === 0 ? paint('green', 'no mismatch') : paint('red', `${mismatches.length} mismatches`)
  lines.push(`${describeCount(rows)} vectors, ${describeCount(values)} values compared byte for byte: ${verdict}.`)
  if (pending > 0) lines.push(`${describeCount(pending)} vectors wait for the archive; \`tidemark wait\` waits for it.`)
  if (rows + pending === 0) lines.push('No vector was served over HTTP yet.')
  return lines
}
