import type { ConnectionOptions } from '@platformatic/kafka'
import { failStore } from '../../errors.ts'
import { withoutPassword } from '../../without-password.ts'
import type { Broker } from './cluster.ts'

export interface KafkaAddress {
  readonly brokers: readonly Broker[]
  /** What the names of the deployment's topics begin with. */
  readonly deployment: string
  readonly options: ConnectionOptions
}

const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const

const DEPLOYMENT = 'tidemark'

/**
 * `kafka://[user:password@]host:port,host:port[/deployment][?tls=true&sasl=SCRAM-SHA-512]`; with a user and nothing else said, SASL/PLAIN; the deployment is `tidemark` unless named. TM_CONFIG_LOG.
 */
export function kafkaAddress(url: string): KafkaAddress {
  const match = /^kafka:\/\/(?:([^:@/?]*):([^@/?]*)@)?([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/.exec(url)
  if (match === null) throw wrong(url, 'host:port,host:port after kafka://')
  const [, user, password, hosts, path, query = ''] = match
  const deployment = path === undefined || path === '' ? DEPLOYMENT : path
  if (!/^[a-zA-Z0-9_-]{1,64}$/.test(deployment))
    throw wrong(url, `a deployment of up to 64 letters, digits, _ and - behind the hosts, not ${deployment}`)
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
    deployment,
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
