import type { ConnectionOptions } from '@platformatic/kafka'
import { failStore } from '../../errors.ts'
import { withoutPassword } from '../../without-password.ts'
import type { Broker } from './cluster.ts'

export interface KafkaAddress {
  readonly brokers: readonly Broker[]
  readonly options: ConnectionOptions
}

const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const

/**
 * `kafka://[user:password@]host:port,host:port[?tls=true&sasl=SCRAM-SHA-512]`; with a user and nothing else said, SASL/PLAIN. TM_CONFIG_LOG.
 */
export function kafkaAddress(url: string): KafkaAddress {
  const match = /^kafka:\/\/(?:([^:@/?]*):([^@/?]*)@)?([^/?]+)\/?(?:\?(.*))?$/.exec(url)
  if (match === null) throw wrong(url, 'host:port,host:port after kafka://')
  const [, user, password, hosts, query = ''] = match
  const brokers = hosts.split(',').map((host) => brokerOf(url, host))
  const settings = new URLSearchParams(query)
  for (const name of settings.keys())
    if (name !== 'tls' && name !== 'sasl') throw wrong(url, `tls or sasl as a parameter, not ${name}`)
  const tls = settings.get('tls') ?? 'false'
  if (tls !== 'true' && tls !== 'false') throw wrong(url, 'tls=true or tls=false')
  const mechanism = MECHANISMS.find((name) => name === (settings.get('sasl') ?? 'PLAIN'))
  if (mechanism === undefined) throw wrong(url, `sasl to be one of ${MECHANISMS.join(', ')}`)
  return {
    brokers,
    options: {
      ...(tls === 'true' ? { tls: {}, tlsServerName: true } : {}),
      ...(user === undefined
        ? {}
        : { sasl: { mechanism, username: decodeURIComponent(user), password: decodeURIComponent(password) } }),
    },
  }
}

function brokerOf(url: string, text: string): Broker {
  const [, bracketed, host = bracketed, digits] = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(text) ?? []
  const port = Number(digits)
  if (host === undefined || !(port > 0 && port < 65_536)) throw wrong(url, `host:port, not ${text}`)
  return { host, port }
}

function wrong(url: string, expected: string): Error {
  return failStore('TM_CONFIG_LOG', `TIDEMARK_LOG is ${withoutPassword(url)}: expected ${expected}`)
}
