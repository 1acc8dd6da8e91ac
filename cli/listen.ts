import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { failCli } from './errors.ts'

export const DEFAULT_HOST = '127.0.0.1'

/** Where a process answers HTTP. */
export interface ListenAddress {
  /** A name, or an address of IPv4 or IPv6 (`[::1]` and `::1` alike). */
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** What the user says: whoever reaches the address may read and write everything. */
  readonly trustNetwork: boolean
  /** How the port is set, for the message where it is taken. */
  readonly portSetting: string
}

/** Listens, and returns the URL. TM_HOST_UNPROTECTED, TM_PORT_IN_USE; TM_CONFIG where the host is none of this machine. */
export async function listen(app: FastifyInstance, address: ListenAddress): Promise<string> {
  const host = await addressToBind(address)
  const { port } = address
  try {
    return await app.listen({ host, port })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : ''
    if (code === 'EADDRINUSE')
      throw failCli(
        'TM_PORT_IN_USE',
        `port ${port} is taken by another process: stop it, or choose another with ${address.portSetting}`,
        { cause: error },
      )
    if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT' || code === 'EINVAL')
      throw wrongHost(address.host, 'this machine has no such address', error)
    if (code === 'EACCES')
      throw failCli(
        'TM_CONFIG',
        `port ${port} may not be opened by this user: choose one above 1023 with ${address.portSetting}`,
        { cause: error },
      )
    throw error
  }
}

/** Of a name, its first address. TM_HOST_UNPROTECTED unless that is one of this machine alone, or the network is trusted. */
async function addressToBind({ host, trustNetwork }: ListenAddress): Promise<string> {
  const name = host.replace(/^\[(.*)\]$/, '$1')
  const address = isIP(name) !== 0 ? name : await resolved(name)
  if (!trustNetwork && !isLoopback(address))
    throw failCli(
      'TM_HOST_UNPROTECTED',
      `${host} can be reached by other machines, and nobody who asks is made to say who they are: leave the host at ${DEFAULT_HOST} and put a proxy that authenticates before it, or, where only those can reach this machine who may read and write everything, say so with --trust-network, TIDEMARK_TRUST_NETWORK=true, or \`trustNetwork: true\` in tidemark.config.ts`,
      { details: { host } },
    )
  return address
}

async function resolved(name: string): Promise<string> {
  try {
    return (await lookup(name)).address
  } catch (error) {
    throw wrongHost(name, 'no such name is known', error)
  }
}

function wrongHost(host: string, why: string, cause: unknown): Error {
  return failCli(
    'TM_CONFIG',
    `host ${host}: ${why}; expected a name or an address of this machine, as 127.0.0.1, ::1, 0.0.0.0 (all of IPv4) or :: (all), in --host, TIDEMARK_HOST, or \`host\` in tidemark.config.ts`,
    { details: { setting: 'host' }, cause },
  )
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Addresses of IPv4 within IPv6 (`::ffff:127.0.0.1`) count as what they stand for. */
function isLoopback(address: string): boolean {
  // A zone says which interface, not whose address.
  const [bare] = address.split('%')
  return loopback.check(bare, isIP(bare) === 6 ? 'ipv6' : 'ipv4')
}
