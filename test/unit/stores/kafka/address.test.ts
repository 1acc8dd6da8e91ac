import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kafkaAddress } from '../../../../stores/log/kafka/address.ts'
import { hasErrorCode } from '../../../support/folders.ts'

test('addresses of Kafka: brokers, TLS, credentials; what is wrong is said, without the password', () => {
  assert.deepEqual(kafkaAddress('kafka://a:9092,[::1]:1'), {
    brokers: [
      { host: 'a', port: 9092 },
      { host: '::1', port: 1 },
    ],
    deployment: 'tidemark',
    options: {},
  })
  assert.equal(kafkaAddress('kafka://u:p@a:1/risk-2?tls=true').deployment, 'risk-2')
  assert.equal(kafkaAddress('kafka://a:1/').deployment, 'tidemark')
  assert.deepEqual(kafkaAddress('kafka://u:p%40@a:9092?tls=true&sasl=SCRAM-SHA-512').options, {
    tls: {},
    tlsServerName: true,
    sasl: { mechanism: 'SCRAM-SHA-512', username: 'u', password: 'p@' },
  })
  for (const url of [
    'kafka://',
    'kafka://a',
    'kafka://a:0',
    'kafka://a:1?tls=yes',
    'kafka://a:1?sasl=X',
    'kafka://a:1?x=1',
    'kafka://a:1/two.parts',
    'kafka://a:1/a/b',
  ])
    assert.throws(() => kafkaAddress(url), hasErrorCode('TM_CONFIG_LOG'), url)
  assert.throws(
    () => kafkaAddress('kafka://u:secret@a:1?x=1'),
    (error: Error) => !error.message.includes('secret'),
  )
})
