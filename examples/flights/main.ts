import { rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { failCli } from '../../cli/errors.ts'
import { isStarted } from '../../cli/presence.ts'
import { supervise } from '../../cli/roles/supervisor.ts'
import { stopSignal } from '../../cli/stop-signal.ts'
import { createLogLines } from '../../cli/terminal/log-lines.ts'
import { paint } from '../../cli/terminal/style.ts'
import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import { streamLive } from './live.ts'
import { compareExports, prepareInput } from './prepare.ts'
import { CommandFailed, runCommand } from './run-command.ts'

/*
 * The main job on real data: history is imported, June 2001 streams in as live events, features are served, training sets are exported, served vectors verified.
 * Everything but the making of the input files is done by the commands that it prints. `--fast` starts the history in mid-May.
 */
const FOLDER = import.meta.dirname
const DATA = join(FOLDER, '.tidemark')
const started = performance.now()

function say(text: string): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(5)
  process.stdout.write(`\n${paint('dim', `${seconds} s`)}  ${paint('bold', text)}\n`)
}

/** `tidemark start` in this process: resolves with the address when every role works. */
function startRoles(signal: AbortSignal): { ready: Promise<string>; ended: Promise<void> } {
  const log = createLogLines(false)
  let isReady: (url: string) => void = () => {}
  const ready = new Promise<string>((resolve) => (isReady = resolve))
  const port = process.env.PORT === undefined ? null : Number(process.env.PORT)
  const ended = supervise({ directory: FOLDER, port, log, signal, ready: (url) => isReady(url) })
  const failed = ended.then(() => {
    throw failCli('TM_ROLE_DIED', 'the roles ended before they were ready')
  })
  return { ready: Promise.race([ready, failed]), ended }
}

async function askForVectors(url: string): Promise<void> {
  const entities = ['ORD', 'ATL', 'DFW', 'LAX', 'SFO'].map((origin) => ({ origin, destination: 'DEN' }))
  const request = entities.map(() => ({ distance: 900, hour: 9 }))
  const response = await fetch(`${url}/v1/features/delay_risk`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ entities, request }),
  })
  if (!response.ok) throw new Error(`the server answered ${response.status}: ${await response.text()}`)
}

async function tour(url: string, fast: boolean, signal: AbortSignal): Promise<void> {
  const input = join(DATA, 'input')
  const tidemark = (...args: string[]): Promise<void> => runCommand(FOLDER, args, signal)
  const [files] = await Promise.all([prepareInput(input, fast ? '2001-05-22' : '2001-01-01'), tidemark('apply')])
  say(
    'History: every flight that had landed before June. It counts from when it landed (--arrival), not from when it was due to leave.',
  )
  await tidemark('import', 'flights', files.history, '--arrival', 'landed_at')
  await tidemark('wait', '--applied', '--timeout', '300s')
  say(`Ready to serve on ${url}. From here June 2001 streams in as live events, a day a minute.`)
  void streamLive(FOLDER, files.live, signal)
  await tidemark('get', 'delay_risk', 'origin=ORD', 'destination=DEN', 'distance=888', 'hour=9')
  await tidemark('wait', '--timeout', '300s')

  say('A training set: each flight of the last week of May with what was known when it was due to leave.')
  const honest = join(DATA, 'training.parquet')
  await tidemark('export', 'delay_risk', '--spine', files.spine, '--out', honest)
  say('The same with the join that most pipelines make, on event time: flights count before they have landed.')
  const leaking = join(DATA, 'leaking.parquet')
  await tidemark('export', 'delay_risk', '--spine', files.spine, '--out', leaking, '--as-of', 'event-time')
  const { rows, differ, example } = await compareExports(input, honest, leaking)
  process.stdout.write(
    `${differ} of ${rows} rows differ in the mean delay of the last hour: that is the leak. The worst one:\n  ${example}.\n`,
  )

  say('Proof: vectors that were served, computed again from the archive and compared byte for byte.')
  for (let i = 0; i < 5 && !signal.aborted; i++) {
    await askForVectors(url)
    await pause(200, undefined, { signal }).catch(() => {})
  }
  await pause(1200, undefined, { signal }).catch(() => {})
  await tidemark('wait', '--timeout', '60s')
  await tidemark('verify')
  sayWhatNext(url)
}

function sayWhatNext(url: string): void {
  const command = `npm run -s tidemark -- --project ${relative(process.cwd(), FOLDER) || '.'}`
  say('Serving goes on. Try, in another terminal:')
  const lines = [
    `curl -s ${url}/v1/features/delay_risk -H 'content-type: application/json' -d '{"entities":[{"origin":"ORD","destination":"DEN"}],"request":[{"distance":888,"hour":9}]}'`,
    `${command} get delay_risk origin=ORD destination=DEN distance=888 hour=9`,
    `${command} get airport_hour origin=ORD hour=17`,
    `${command} status`,
    `${command} verify`,
    `${command} catalog`,
  ]
  process.stdout.write(`${lines.map((line) => `  ${line}`).join('\n')}\nCtrl-C stops.\n`)
}

async function main(): Promise<void> {
  const args = process.argv.slice(2)
  const wrong = args.find((arg) => arg !== '--fast')
  if (wrong !== undefined) throw failCli('TM_USAGE', `${wrong}: the flights example takes --fast (a short tour) only`)
  if (await isStarted(DATA))
    throw failCli('TM_ALREADY_RUNNING', 'the flights example runs already: stop it with Ctrl-C in its terminal first')
  rmSync(DATA, { recursive: true, force: true })
  const signal = stopSignal()
  say('3 million US flights of 2001, replayed as if it were 1 June 2001.')
  const { ready, ended } = startRoles(signal)
  try {
    const url = await ready
    await tour(url, args.includes('--fast'), signal)
  } catch (error) {
    if (!(error instanceof CommandFailed && signal.aborted)) throw error
  }
  await ended
  process.stdout.write('\nStopped.\n')
}

try {
  await main()
} catch (error) {
  if (error instanceof CommandFailed) process.stderr.write(`${error.message}\n`)
  else if (isTidemarkError(error)) process.stderr.write(`${error.code}: ${error.message}\n`)
  else throw error
  process.exit(1)
}
