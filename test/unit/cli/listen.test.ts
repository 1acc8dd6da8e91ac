import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import Fastify from 'fastify'
import { listen } from '../../../cli/listen.ts'
import { hasErrorCode } from '../../support/folders.ts'

const interfaces = Object.values(networkInterfaces()).flatMap((all) => all ?? [])
const hasIpv6 = interfaces.some(({ address }) => address === '::1')
const outside = interfaces.find(({ family, internal }) => family === 'IPv4' && !internal)?.address

function listenOn(
  context: TestContext,
  host: string,
  trustNetwork: boolean = false,
  port: number = 0,
): Promise<string> {
  const app = Fastify()
  app.get('/', () => 'here')
  context.after(() => app.close())
  return listen(app, { host, port, trustNetwork, portSetting: '--port' })
}

const OWN = ['127.0.0.1', '127.8.9.10', 'localhost', ...(hasIpv6 ? ['::1', '[::1]', '::ffff:127.0.0.1'] : [])]
for (const host of OWN)
  test(`${host} is an address of this machine alone`, async (context) => {
    assert.equal(await (await fetch(await listenOn(context, host))).text(), 'here')
  })

const REACHABLE = [
  '0.0.0.0',
  '::',
  '[::]',
  '::ffff:0.0.0.0',
  '2001:db8::1',
  '10.1.2.3',
  ...(outside === undefined ? [] : [outside]),
]
for (const host of REACHABLE)
  test(`${host} is refused unless the network is trusted`, async (context) => {
    await assert.rejects(listenOn(context, host), (error: Error) => {
      assert.ok(hasErrorCode('TM_HOST_UNPROTECTED')(error))
      assert.match(error.message, /--trust-network, TIDEMARK_TRUST_NETWORK=true/)
      return true
    })
  })

test('trusted, it answers where it was asked to', { skip: outside === undefined && 'no network' }, async (context) => {
  const { port } = new URL(await listenOn(context, '0.0.0.0', true))
  assert.equal(await (await fetch(`http://${outside}:${port}`)).text(), 'here')
})

test('trusted, :: answers both families', { skip: !hasIpv6 && 'no IPv6' }, async (context) => {
  const { port } = new URL(await listenOn(context, '[::]', true))
  for (const host of ['[::1]', '127.0.0.1']) assert.equal(await (await fetch(`http://${host}:${port}`)).text(), 'here')
})

test('a host of another machine and an unknown name are named with what is expected', async (context) => {
  for (const host of ['192.0.2.1', '2001:db8::1', 'no-such-host.invalid'])
    await assert.rejects(listenOn(context, host, true), (error: Error) => {
      assert.ok(hasErrorCode('TM_CONFIG')(error), String(error))
      assert.ok(error.message.startsWith(`host ${host}: `), error.message)
      return true
    })
})

test('a taken port is named', async (context) => {
  const taken = createServer()
  await new Promise<void>((listening) => taken.listen(0, '127.0.0.1', listening))
  context.after(() => taken.close())
  const { port } = taken.address() as AddressInfo
  await assert.rejects(listenOn(context, '127.0.0.1', false, port), hasErrorCode('TM_PORT_IN_USE'))
})
