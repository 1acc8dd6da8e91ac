import { entity, featureService, featureView, max, mean, min, stream, sum, t } from 'tidemark'

/** US flights of 2001; the benchmark reads 50 doubles of one flight from four views. */
export const flights = stream('flights', {
  schema: {
    origin: t.string(),
    destination: t.string(),
    distance: t.float64(),
    delay: t.float64(),
    date: t.timestamp(),
  },
  eventTime: 'date',
})

export const origin = entity('origin', { origin: t.string() })
export const destination = entity('destination', { destination: t.string() })
export const route = entity('route', { origin: t.string(), destination: t.string() })

export const originDelays = featureView('origin_delays', {
  entity: origin,
  from: flights,
  features: {
    delay_mean_24h: mean('delay').over('24h'),
    delay_min_24h: min('delay').over('24h'),
    delay_max_24h: max('delay').over('24h'),
    delay_sum_24h: sum('delay').over('24h'),
    distance_mean_24h: mean('distance').over('24h'),
    delay_mean_7d: mean('delay').over('7d'),
    delay_min_7d: min('delay').over('7d'),
    delay_max_7d: max('delay').over('7d'),
    delay_sum_7d: sum('delay').over('7d'),
    distance_mean_7d: mean('distance').over('7d'),
    distance_min_7d: min('distance').over('7d'),
    distance_max_7d: max('distance').over('7d'),
    distance_sum_7d: sum('distance').over('7d'),
  },
})

export const destinationDelays = featureView('destination_delays', {
  entity: destination,
  from: flights,
  features: {
    delay_mean_24h: mean('delay').over('24h'),
    delay_min_24h: min('delay').over('24h'),
    delay_max_24h: max('delay').over('24h'),
    delay_sum_24h: sum('delay').over('24h'),
    late_sum_24h: sum((e) => Math.max(e.delay, 0)).over('24h'),
    delay_mean_7d: mean('delay').over('7d'),
    delay_min_7d: min('delay').over('7d'),
    delay_max_7d: max('delay').over('7d'),
    delay_sum_7d: sum('delay').over('7d'),
    late_sum_7d: sum((e) => Math.max(e.delay, 0)).over('7d'),
    distance_mean_7d: mean('distance').over('7d'),
    distance_min_7d: min('distance').over('7d'),
    distance_max_7d: max('distance').over('7d'),
  },
})

export const routeDelays = featureView('route_delays', {
  entity: route,
  from: flights,
  features: {
    delay_mean_24h: mean('delay').over('24h'),
    delay_min_24h: min('delay').over('24h'),
    delay_max_24h: max('delay').over('24h'),
    delay_sum_24h: sum('delay').over('24h'),
    delay_mean_7d: mean('delay').over('7d'),
    delay_min_7d: min('delay').over('7d'),
    delay_max_7d: max('delay').over('7d'),
    delay_sum_7d: sum('delay').over('7d'),
    late_mean_7d: mean((e) => Math.max(e.delay, 0)).over('7d'),
    late_sum_7d: sum((e) => Math.max(e.delay, 0)).over('7d'),
    early_mean_7d: mean((e) => Math.min(e.delay, 0)).over('7d'),
    early_sum_7d: sum((e) => Math.min(e.delay, 0)).over('7d'),
  },
})

export const routeHistory = featureView('route_history', {
  entity: route,
  from: flights,
  features: {
    delay_mean_30d: mean('delay').over('30d'),
    delay_min_30d: min('delay').over('30d'),
    delay_max_30d: max('delay').over('30d'),
    delay_sum_30d: sum('delay').over('30d'),
    delay_square_mean_30d: mean((e) => e.delay * e.delay).over('30d'),
    late_mean_30d: mean((e) => Math.max(e.delay, 0)).over('30d'),
    late_sum_30d: sum((e) => Math.max(e.delay, 0)).over('30d'),
    late_max_30d: max((e) => Math.max(e.delay, 0)).over('30d'),
    early_mean_30d: mean((e) => Math.min(e.delay, 0)).over('30d'),
    early_sum_30d: sum((e) => Math.min(e.delay, 0)).over('30d'),
    speed_mean_30d: mean((e) => e.distance / 8).over('30d'),
    speed_sum_30d: sum((e) => e.distance / 8).over('30d'),
  },
})

export const delayRisk = featureService('delay_risk', {
  features: [originDelays.all(), destinationDelays.all(), routeDelays.all(), routeHistory.all()],
})
