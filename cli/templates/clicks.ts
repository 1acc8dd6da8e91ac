import type { Template } from './template.ts'

const DEFINITIONS = `import { approxDistinctCount, count, countWhere, entity, featureService, featureView, last, stream, t } from 'tidemark'

/** What features are about: a visitor of a site. */
export const visitor = entity('visitor', { visitor_id: t.string() })

/** Where events come from: what visitors do. */
export const clicks = stream('clicks', {
  schema: {
    visitor_id: t.string(),
    page: t.string(),
    kind: t.enum('view', 'cart', 'buy'),
    clicked_at: t.timestamp(),
  },
  eventTime: 'clicked_at',
})

/** What a visitor did lately. */
export const interest = featureView('interest', {
  entity: visitor,
  from: clicks,
  features: {
    views_10m: countWhere((e) => e.kind === 'view').over('10m'),
    clicks_24h: count().over('24h'),
    pages_7d: approxDistinctCount('page').over('7d'),
    last_page: last('page').over('lifetime'),
  },
  ttl: '30d',
  owner: 'growth@example.com',
})

/** What a ranking model asks for. */
export const ranking = featureService('ranking', { features: [interest.all()] })
`

function events(now: number): string {
  const pages = ['/', '/shoes', '/shoes/red', '/cart', '/shoes/blue', '/']
  const lines = pages.map((page, i) =>
    JSON.stringify({
      visitor_id: 'v-1',
      page,
      kind: page === '/cart' ? 'cart' : 'view',
      clicked_at: new Date(now - (pages.length - i) * 60_000).toISOString(),
    }),
  )
  return `${lines.join('\n')}\n`
}

/** Visitors of a site, for a ranking model. */
export const clicks: Template = {
  files: (now) => ({
    'features/visitor.ts': DEFINITIONS,
    'events.jsonl': events(now),
    'spine.csv': `visitor_id,timestamp,label\nv-1,${new Date(now - 2 * 60_000).toISOString()},1\n`,
  }),
  source: 'clicks',
  service: 'ranking',
  example: 'visitor_id=v-1',
}
