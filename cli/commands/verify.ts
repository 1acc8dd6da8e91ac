import type { Command } from 'commander'
import { verifyServed } from '../../offline/verify.ts'
import type { Mismatch, VerifyReport } from '../../offline/verify.ts'
import { failCli } from '../errors.ts'
import { drain } from '../run-roles.ts'
import { doing } from '../settle.ts'
import { describeCount, describeTime } from '../terminal/describe-amounts.ts'
import { paint } from '../terminal/style.ts'
import { checkStopped, print, withWork } from './with-project.ts'

const SHOWN_MAX = 20
const EXAMPLES = `
Recomputes served vectors (a sample is logged) from the archive, with the registered code, at the positions that their stamps name.

Examples:
  tidemark verify
  tidemark verify --sample 1000 --json
  tidemark verify --since 2024-06-01T12:00:00Z
`

export function registerVerify(program: Command): void {
  program
    .command('verify')
    .description('compare served vectors with the archive, byte for byte; exit 1 on a mismatch')
    .option('--sample <n>', 'the newest n vectors only', parseSample)
    .option(
      '--since <time>',
      'vectors logged at or after this time only (ISO-8601 with a zone, or epoch ms)',
      parseTime,
    )
    .addHelpText('after', EXAMPLES)
    .action(async (options: { sample?: number; since?: number }, command: Command) => {
      await withWork(command, async ({ project, json, signal, progress }) => {
        const stopped = (): void => checkStopped(signal, () => 'nothing was changed.')
        const archiving = progress('archive', 'events')
        // Only the archive has to be up to date: stored states are what is being verified.
        await doing(project, 'archive', async () => {
          await drain(project, {
            roles: ['archive'],
            gates: project.gates,
            signal,
            onProgress: (moved) => archiving.update(moved),
          })
        })
        stopped()
        archiving.end()
        const verifying = progress('verify', 'vectors')
        const onProgress = (rows: number): void => {
          stopped()
          verifying.update(rows)
        }
        const reading = await project.gates.readArchive(signal)
        const report = await verifyServed(project, { ...options, onProgress }).finally(() => reading?.release())
        stopped()
        verifying.end()
        print(json, report, describe(report))
        if (report.mismatchCount > 0 || report.damaged.length > 0) process.exitCode = 1
      })
    })
}

function describe({
  rows,
  values,
  pending,
  forgotten,
  since,
  features,
  damaged,
  mismatches,
  mismatchCount,
}: VerifyReport): string[] {
  const lines = damaged.map((what) => `${paint('red', 'damaged')} ${what}`)
  lines.push(...mismatches.slice(0, SHOWN_MAX).map(describeMismatch))
  if (mismatchCount > SHOWN_MAX)
    lines.push(`… and ${describeCount(mismatchCount - SHOWN_MAX)} more; --json has the first ${mismatches.length}`)
  for (const [name, counts] of Object.entries(features))
    if (counts.mismatches > 0)
      lines.push(`${name}: ${counts.mismatches} of ${counts.matches + counts.mismatches} differ`)
  const verdict = mismatchCount === 0 ? paint('green', 'no mismatch') : paint('red', `${mismatchCount} mismatches`)
  lines.push(`${describeCount(rows)} vectors, ${describeCount(values)} values compared byte for byte: ${verdict}.`)
  if (pending > 0) lines.push(`${describeCount(pending)} vectors wait for the archive; \`tidemark wait\` waits for it.`)
  if (forgotten > 0)
    lines.push(`${describeCount(forgotten)} vectors were served from events that were forgotten since: not compared.`)
  if (since !== null) lines.push(`Served vectors are kept since ${describeTime(since)}.`)
  if (rows + pending + forgotten === 0) lines.push('No vector was served over HTTP yet.')
  return lines
}

function describeMismatch({ requestId, row, feature, served, recomputed, cause }: Mismatch): string {
  const values = feature === '*' ? '' : ` served ${served}, recomputed ${recomputed};`
  return `${paint('red', 'mismatch')} ${feature} (request ${requestId}, row ${row}):${values} ${cause}`
}

function parseSample(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw failCli('TM_USAGE', `--sample ${text}: expected a whole number above 0`)
  return Number(text)
}

function parseTime(text: string): number {
  const time = /^\d+$/.test(text) ? Number(text) : /(?:Z|[+-]\d{2}:?\d{2})$/.test(text) ? Date.parse(text) : NaN
  if (Number.isNaN(time))
    throw failCli('TM_USAGE', `--since ${text}: expected a time like 2024-06-01T12:00:00Z, or epoch milliseconds`)
  return time
}
