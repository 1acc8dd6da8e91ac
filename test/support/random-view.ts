import * as authoring from '../../features/index.ts'
import type { ViewDefinition } from '../../features/authoring/feature-view.ts'
import type { OracleFunction } from './oracle-view.ts'
import type { Random } from './random.ts'

/** Names that a definition file of this version can import: an aggregation that is not there yet is not tried. */
const EXPORTED = new Map<string, unknown>(Object.entries(authoring))

/** Fields of the source `events`, by the text of their type. `known` is the arrival that an import can name. */
export const FIELDS: Readonly<Record<string, string>> = {
  key: 't.string()',
  shop: 't.int64()',
  amount: `t.float64().nonFinite('null')`,
  heat: 't.float32().nullable()',
  small: 't.int32().nullable()',
  big: 't.int64().nullable()',
  label: 't.string().nullable()',
  flag: 't.bool().nullable()',
  kind: `t.enum('x', 'y', 'zz').nullable()`,
  raw: 't.bytes().nullable()',
  seen: 't.timestamp().nullable()',
  vec: 't.vector(3).nullable()',
  at: 't.timestamp()',
  known: 't.timestamp()',
}

const SCHEMA = `export const card = entity('card', { key: t.string() })
export const store = entity('store', { shop: t.int64() })
export const events = stream('events', { schema: { ${Object.entries(FIELDS)
  .map(([name, type]) => `${name}: ${type}`)
  .join(', ')} }, eventTime: 'at' })
`

const WINDOWS = [
  ['5m', '1ms'],
  ['1h', null],
  ['1h', '20m'],
  ['40m', '20m'],
  ['30s', '30s'],
  ['24h', null],
  ['7d', null],
  ['30d', '1d'],
  ['500ms', '100ms'],
  ['lifetime', null],
] as const
const TTLS = [null, null, '1s', '30m', '48h', '400d']
const NUMBERS = ['amount', 'heat', 'small', 'big']
const DOUBLES = ['amount', 'heat', 'small', 'seen']
const KEYS = ['amount', 'heat', 'small', 'big', 'label', 'flag', 'kind', 'raw', 'seen']
const ANY = [...KEYS, 'vec']
const BUCKETS = ['label', 'flag', 'kind', 'small', 'big', 'raw']
const WHERE = [
  `(e) => e.label !== 'b'`,
  `(e) => e.amount > 0`,
  `(e) => { if (e.small === 3) throw new Error('no'); return true }`,
  `(e) => e.flag`,
  `() => false`,
  `(e) => e.at % 2 === 0`,
]
const INPUTS = [
  `(e) => e.amount * 2`,
  `(e) => 1 / e.small`,
  `(e) => e.label.length`,
  `(e) => e.big`,
  `(e) => (e.at - e.known) / 7`,
  `(e) => (e.flag ? -0 : null)`,
]
const TRUTHS = [`(e) => e.amount > 1`, `(e) => e.flag`, `(e) => e.label.startsWith('a')`, `(e) => e.kind === 'x'`]

/** The text of an aggregation, and a default that fits its value (null: none tried). */
type Made = readonly [name: string, text: string, fallback: string | null]

function aggregation(random: Random): Made {
  const quoted = (columns: readonly string[]): string => `'${random.pick(columns)}'`
  const numeric = (): string => (random.below(4) === 0 ? random.pick(INPUTS) : quoted(NUMBERS))
  const n = 1 + random.below(4)
  const made: Made[] = [
    ['count', 'count()', '7'],
    ['countWhere', `countWhere(${random.pick(TRUTHS)})`, null],
    ['sum', `sum(${numeric()})`, null],
    ['sum', `sum('amount')`, '-1.5'],
    ['mean', `mean(${numeric()})`, '2.5'],
    ['min', `min(${quoted(DOUBLES)})`, '0'],
    ['max', `max(${quoted(DOUBLES)})`, '-1'],
    ['first', `first(${quoted(ANY)})`, null],
    ['last', `last(${quoted(ANY)})`, null],
    ['last', `last('label')`, `'none'`],
    ['latest', `latest(${quoted(ANY)})`, null],
    ['variance', `variance(${numeric()}${random.pick(['', ', { sample: true }'])})`, '1'],
    ['stddev', `stddev(${numeric()}${random.pick(['', ', { sample: true }'])})`, null],
    ['skewness', `skewness(${numeric()})`, null],
    ['kurtosis', `kurtosis(${numeric()})`, null],
    ['firstN', `firstN(${quoted(ANY)}, ${n})`, null],
    ['lastN', `lastN(${quoted(ANY)}, ${n})`, null],
    ['topN', `topN(${quoted(KEYS)}, ${n})`, null],
    ['bottomN', `bottomN(${quoted(KEYS)}, ${n})`, null],
    ['distinctCount', `distinctCount(${quoted(KEYS)}, { limit: ${random.pick([2, 100])} })`, null],
    ['approxDistinctCount', `approxDistinctCount(${quoted(KEYS)}, { precision: ${random.pick([4, 12])} })`, null],
    ['quantile', `quantile(${numeric()}, ${random.pick([0, 0.5, 0.99])}, { relativeError: 0.02 })`, '0'],
    ['histogram', `histogram(${quoted(NUMBERS)}, [-1, 0, 1, 12.5])`, null],
    ['valueCounts', `valueCounts(${quoted(KEYS)}, { limit: ${random.pick([2, 100])} })`, null],
    ['any', `any(${random.pick([...TRUTHS, `'flag'`])})`, 'true'],
    ['all', `all(${random.pick([...TRUTHS, `'flag'`])})`, null],
    ['vectorSum', `vectorSum('vec')`, null],
    ['vectorMean', `vectorMean('vec')`, null],
    ['decayedSum', `decayedSum(${numeric()}, { halfLife: ${random.pick([`'1h'`, `'100ms'`])} })`, null],
    ['decayedCount', `decayedCount({ halfLife: '10m' })`, null],
  ]
  return random.pick(made.filter(([name]) => EXPORTED.has(name)))
}

export interface RandomViewOptions {
  /** Maps and lists, where the path at hand can hold them. Default true. */
  readonly composite?: boolean
  readonly features?: number
  readonly entity?: 'card' | 'store'
}

const COMPOSITE = new Set(['firstN', 'lastN', 'topN', 'bottomN', 'histogram', 'valueCounts'])

/** A view over `events` as a definition file would say it. */
export function randomViewText(random: Random, name: string, options: RandomViewOptions = {}): string {
  const {
    composite = true,
    features = 1 + random.below(8),
    entity = random.below(4) === 0 ? 'store' : 'card',
  } = options
  const lines: string[] = []
  const expect: string[] = []
  while (lines.length < features) {
    const [kind, text, fallback] = aggregation(random)
    if (!composite && COMPOSITE.has(kind)) continue
    const [window, hop] = random.pick(WINDOWS)
    const feature = `f${lines.length}_${kind.toLowerCase()}`
    const bucketed = composite && kind !== 'latest' && random.below(8) === 0
    const bucket = bucketed ? `.bucketBy('${random.pick(BUCKETS)}', { limit: ${random.pick([1, 3, 100])} })` : ''
    const defaulted = fallback !== null && !bucketed && random.below(3) === 0 ? `.default(${fallback})` : ''
    const over = kind === 'latest' ? '' : `.over('${window}'${hop === null ? '' : `, { hop: '${hop}' }`})`
    lines.push(`${feature}: ${text}${over}${bucket}${defaulted}`)
    if (!bucketed && random.below(5) === 0) {
      if (['mean', 'count', 'countWhere', 'variance'].includes(kind)) expect.push(`${feature}: { between: [0, 2] }`)
      else if (text === `last('label')`) expect.push(`${feature}: { matches: '[ab]' }`)
      else expect.push(`${feature}: { notNull: true }`)
    }
  }
  const ttl = random.pick(TTLS)
  const where = random.below(3) === 0 ? `where: ${random.pick(WHERE)},` : ''
  return `featureView('${name}', { entity: ${entity}, from: events, ${where}
  ${ttl === null ? '' : `ttl: '${ttl}',`} ${expect.length === 0 ? '' : `expect: { ${expect.join(', ')} },`}
  features: { ${lines.join(',\n    ')} } })`
}

/** A definition file with the given views and a service `svc` over all of them. */
export function definitionsText(views: Readonly<Record<string, string>>): string {
  const names = Object.keys(views)
  const exported = names.map((name) => `export const ${name} = ${views[name]}`).join('\n')
  const service = `export const svc = featureService('svc', { features: [${names.map((name) => `${name}.all()`).join(', ')}] })`
  const imported = [...EXPORTED.keys()].filter((name) => /^[a-z]/.test(name) && name !== 'isTidemarkError')
  return `import { ${imported.join(', ')} } from 'tidemark'\n${SCHEMA}${exported}\n${service}\n`
}

/** The definition that the text stands for, with its functions as they are written: what the oracle runs. */
export function viewOfText(text: string): { definition: ViewDefinition; functions: OracleFunction[] } {
  const body = `${SCHEMA.replaceAll('export const', 'const')} return ${text}`
  // oxlint-disable-next-line typescript/no-implied-eval, no-new-func -- the text is this file's own
  const make = new Function(...EXPORTED.keys(), body) as (...values: unknown[]) => ViewDefinition
  const definition = make(...EXPORTED.values())
  const { where, features } = definition.options
  const inputs = Object.values(features).flatMap(({ spec }) => (typeof spec.input === 'function' ? [spec.input] : []))
  return { definition, functions: [...(where === undefined ? [] : [where]), ...inputs] as OracleFunction[] }
}
