import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { projectSettings } from '../../../cli/project-settings.ts'
import { openProject } from '../../../cli/open-project.ts'
import { hasErrorCode } from '../../support/folders.ts'
import { temporaryProject } from '../../support/project.ts'

const REFUSED: readonly (readonly [settings: string, problem: RegExp])[] = [
  ['{ patitions: 8 }', /unknown setting patitions; known are log, .*partitions/],
  ['{ partitions: 0 }', /partitions in tidemark.config.ts must be a whole number from 1 to 65536, found 0/],
  ["{ buckets: '8' }", /buckets .* found "8"/],
  ["{ host: 'http://h' }", /host .* must be a name or an address without a port, .* found "http/],
  ["{ host: '127.0.0.1:80' }", /host .* without a port/],
  ["{ trustNetwork: 'yes' }", /trustNetwork .* must be true or false, found "yes"/],
  ['{ port: 70000 }', /port .* from 0 to 65535, found 70000/],
  ["{ log: 'pulsar://b:9092' }", /log .* must be 'embedded' or kafka:\/\/host:port,host:port, found "pulsar/],
  ["{ log: 'kafka://b:1', clock: { from: '2001-06-01T00:00Z', rate: 1 } }", /clock is set, .* unset it, or log/],
  ["{ clock: '2001-06-01' }", /clock .* must be an object with from, rate, found "2001-06-01"/],
  ["{ clock: { from: '2001-06-01', rate: 1 } }", /from, which must be an ISO-8601 time with a time zone/],
  ["{ clock: { from: 'June Z', rate: 1 } }", /from, which must be an ISO-8601 time/],
  ["{ clock: { from: '2001-06-01T00:00Z', rate: 0 } }", /rate, which must be a number above 0 .* found 0/],
  ["{ clock: { from: '2001-06-01T00:00Z', rate: NaN } }", /rate, which must be a number above 0/],
  ["{ clock: { from: '2001-06-01T00:00Z' } }", /clock .* must have from and rate, both/],
  ['{ maxMessageBytes: 1000 }', /maxMessageBytes .* a whole number from 16384 to 1073741824, found 1000/],
  ['{ maxBacklogMegabytes: 0 }', /maxBacklogMegabytes .* must be a number from 0.1 to .*, found 0/],
  ['{ served: { share: 2 } }', /share, which must be a number from 0 to 1, found 2/],
  ['{ served: { every: 2 } }', /served .* has the unknown setting every; known are share/],
]

for (const [settings, problem] of REFUSED)
  test(`refused with the setting named: ${settings}`, async (context) => {
    const project = temporaryProject(context, { 'tidemark.config.ts': `export default ${settings}\n` })
    await assert.rejects(projectSettings(project, {}), (error) => {
      assert.ok(hasErrorCode('TM_CONFIG')(error))
      assert.match((error as Error).message, problem)
      return true
    })
  })

test('the environment wins, and is named where it is wrong; an empty variable is none', async (context) => {
  const project = temporaryProject(context, {
    'tidemark.config.ts': "export default { log: 'embedded', port: 8080 }\n",
  })
  assert.deepEqual(await projectSettings(project, { TIDEMARK_ONLINE: 'redis://r' }), {
    log: 'embedded',
    port: 8080,
    online: 'redis://r',
  })
  for (const [variable, value] of [
    ['TIDEMARK_LOG', 'pulsar://k'],
    ['TIDEMARK_ONLINE', 'memcached://m'],
    ['TIDEMARK_METADATA', 'mysql://m'],
    ['TIDEMARK_OBJECTS', 'gs://bucket'],
    ['TIDEMARK_PORT', '0x50'],
    ['TIDEMARK_METRICS_PORT', '65536'],
    ['TIDEMARK_HOST', 'a b'],
    ['TIDEMARK_TRUST_NETWORK', '1'],
  ])
    await assert.rejects(
      projectSettings(project, { [variable]: value }),
      (error: Error) => error.message.startsWith(`${variable} `) && error.message.includes(value),
    )
  assert.deepEqual(await projectSettings(project, { TIDEMARK_LOG: '' }), { log: 'embedded', port: 8080 })
})

test('numbers and truths of the environment are read as such', async (context) => {
  const variables = {
    TIDEMARK_PORT: '0',
    TIDEMARK_HOST: '::1',
    TIDEMARK_TRUST_NETWORK: 'true',
    TIDEMARK_METRICS_PORT: '9464',
  }
  const read = await projectSettings(temporaryProject(context, {}), variables)
  assert.deepEqual(read, { port: 0, host: '::1', trustNetwork: true, metricsPort: 9464 })
})

test('buckets, partitions and the simulated clock stay what a data folder was begun with', async (context) => {
  const clock = (rate: number) => `clock: { from: '2001-06-01T00:00Z', rate: ${rate} }`
  const project = temporaryProject(context, {
    'tidemark.config.ts': `export default { partitions: 2, ${clock(60)} }\n`,
  })
  const configure = (settings: string): void =>
    writeFileSync(join(project, 'tidemark.config.ts'), `export default { ${settings} }\n`)
  await (await openProject(project)).close()
  for (const [settings, problem] of [
    [`partitions: 4, ${clock(60)}`, /partitions is 4, but this data folder was begun with 2/],
    [`partitions: 2, buckets: 128, ${clock(60)}`, /buckets is 128, but this data folder was begun with 256/],
    [`partitions: 2, ${clock(61)}`, /clock is from 2001-06-01T00:00Z at rate 61, but .* rate 60/],
  ] as const) {
    configure(settings)
    await assert.rejects(openProject(project), problem)
  }
  configure(`partitions: 2, ${clock(60)}`)
  await (await openProject(project)).close()
})
