import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openProject } from '../../cli/open-project.ts'
import { drain } from '../../cli/run-roles.ts'
import { importFiles } from '../../streams/imports/import-files.ts'
import { sqlText } from '../../stores/tables/tables.ts'

export interface CardsProject {
  readonly folder: string
  remove(): void
}

const DEFINITIONS = `import { entity, featureService, featureView, max, mean, min, stream, sum, t } from 'tidemark'
export const card = entity('card', { card: t.string() })
export const payments = stream('payments', { schema: { card: t.string(), amount: t.float64(), tip: t.float64(), paid_at: t.timestamp() }, eventTime: 'paid_at' })
const of = (column, window) => Object.fromEntries(Object.entries({ mean, min, max, sum }).map(([name, f]) => [\`\${column}_\${name}_\${window}\`, f(column).over(window)]))
const all = (column) => Object.assign({}, ...['1h', '24h', '7d', '14d', '30d', '60d'].map((window) => of(column, window)))
export const cards = featureView('cards', { entity: card, from: payments, features: {
  ...all('amount'), ...all('tip'), amount_max_90d: max('amount').over('90d'), tip_max_90d: max('tip').over('90d') } })
export const spending = featureService('spending', { features: [cards.all()] })
`

/** As many cards with a payment each, within the last 30 days, in embedded stores: a card `c0` … has 50 features. */
export async function fillCardsProject(cards: number): Promise<CardsProject> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-cold-read-'))
  mkdirSync(join(folder, 'features'))
  cpSync(join(import.meta.dirname, 'project/tidemark.config.ts'), join(folder, 'tidemark.config.ts'))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(join(folder, 'features/cards.ts'), DEFINITIONS)
  const project = await openProject(folder)
  try {
    await project.registry.apply(folder, project.now())
    const file = join(folder, 'payments.parquet')
    await project.tables.execute(
      `COPY (SELECT 'c' || i AS card, (hash(i) % 100000) / 7 AS amount, (hash(i + 1) % 1000) / 7 AS tip,
         TIMESTAMP '2001-06-01' + INTERVAL 1 SECOND * (i * 2505600 // ${cards}) AS paid_at FROM range(${cards}) AS r(i) ORDER BY i)
       TO ${sqlText(file)} (FORMAT parquet)`,
    )
    await importFiles(project, 'payments', [file], { arrival: 'event-time' })
    await drain(project)
    return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
  } finally {
    await project.close()
  }
}
