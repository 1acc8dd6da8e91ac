import { count, entity, featureService, featureView, latest, max, mean, min, stream, sum, t } from 'tidemark'

/** US flights of 2001. A flight's delay is known when it has landed: `landed_at` is its arrival, `scheduled` its event time. */
export const flights = stream('flights', {
  schema: {
    flight_id: t.int32(),
    origin: t.string(),
    destination: t.string(),
    hour: t.int32(),
    distance: t.float64(),
    delay: t.float64(),
    scheduled: t.timestamp(),
    landed_at: t.timestamp(),
  },
  eventTime: 'scheduled',
})

export const origin = entity('origin', { origin: t.string() })
export const destination = entity('destination', { destination: t.string() })
export const route = entity('route', { origin: t.string(), destination: t.string() })
export const originHour = entity('origin_hour', { origin: t.string(), hour: t.int32() })

const owner = 'flights@example.com'

export const originDelays = featureView('origin_delays', {
  entity: origin,
  from: flights,
  features: {
    flights_1h: count().over('1h'),
    flights_24h: count().over('24h'),
    delay_mean_1h: mean('delay').over('1h'),
    delay_mean_24h: mean('delay').over('24h'),
    delay_mean_7d: mean('delay').over('7d'),
    delay_max_24h: max('delay').over('24h'),
  },
  ttl: '7d',
  freshness: '5m',
  owner,
  description: 'How late an airport runs.',
})

export const destinationDelays = featureView('destination_delays', {
  entity: destination,
  from: flights,
  features: {
    flights_24h: count().over('24h'),
    delay_mean_24h: mean('delay').over('24h'),
    late_minutes_7d: sum((e) => Math.max(e.delay, 0)).over('7d'),
  },
  ttl: '7d',
  owner,
  description: 'How late flights to an airport are.',
})

export const routeDelays = featureView('route_delays', {
  entity: route,
  from: flights,
  features: {
    flights_7d: count().over('7d'),
    delay_mean_7d: mean('delay').over('7d'),
    delay_min_7d: min('delay').over('7d'),
    last_delay: latest('delay'),
  },
  owner,
  description: 'What a route did lately.',
})

export const originHourDelays = featureView('origin_hour_delays', {
  entity: originHour,
  from: flights,
  features: { delay_mean_30d: mean('delay').over('30d') },
  owner,
  description: 'Delay by airport and hour of the day.',
})

export const delayRisk = featureService('delay_risk', {
  features: [originDelays.all(), destinationDelays.all(), routeDelays.all()],
  request: { distance: t.float64(), hour: t.int32() },
  derive: { expected_delay: (f) => (f.origin_delays__delay_mean_1h ?? 0) + (f.route_delays__delay_mean_7d ?? 0) / 2 },
  owner,
  description: 'What is known of a flight before it departs.',
})

export const airportHour = featureService('airport_hour', {
  features: [originHourDelays.all()],
  owner,
  description: 'How late an airport usually runs at an hour of the day: keyed by origin and hour.',
})
