import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { roleOwners } from '../../cli/roles/role-lease.ts'
import type { WorkRole } from '../../cli/run-roles.ts'
import { openLmdbLog } from '../../stores/log/lmdb/open.ts'
import { openFileObjects } from '../../stores/objects/files/open.ts'
import { archiveFiles } from '../../stores/tables/archive-files.ts'
import { openTables } from '../../stores/tables/open-tables.ts'
import { tidemarkJson as json } from '../support/cli-process.ts'
import { query } from '../support/platform.ts'
import { PAYMENTS, temporaryProject } from '../support/project.ts'
import { Random, runSeed } from '../support/random.ts'

const LEASE_MS = 3000
const CARDS = 2

interface Process {
  readonly child: ChildProcess
  readonly exited: Promise<NodeJS.Signals | null>
  said(pattern: RegExp): Promise<void>
}

function startRole(context: TestContext, project: string, role: WorkRole): Process {
  const args = ['--disable-warning=ExperimentalWarning', 'test/support/role-process.ts', project, role]
  const child = spawn(process.execPath, [...args, String(LEASE_MS)], { stdio: ['ignore', 'pipe', 'pipe'] })
  context.after(() => child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  return {
    child,
    exited: new Promise((resolve) => child.once('close', (_code, signal) => resolve(signal))),
    said: async (pattern) => {
      for (; !pattern.test(output); await pause(20))
        assert.equal(child.exitCode, null, `ended without ${pattern}:\n${output}`)
    },
  }
}

test(
  'of two workers one that is stopped, at any moment, is ended, and the other takes on what it did: every event counts once',
  { timeout: 300_000 },
  async (context) => {
    const random = new Random(runSeed('lease'))
    const project = temporaryProject(context, {
      'features/card.ts': PAYMENTS.replace('schema: {', 'schema: { id: t.string(),'),
    })
    const data = join(project, '.tidemark')
    await json(project, 'apply')
    const owners = (['stream', 'archive'] as const).map((role) => ({
      role,
      process: startRole(context, project, role),
    }))
    for (const { process: owner } of owners) await owner.said(/runs \(/)
    const standbys = owners.map(({ role }) => ({ role, process: startRole(context, project, role) }))
    for (const { process: standby } of standbys) await standby.said(/runs \(/)

    let sent = 0
    const produce = async (): Promise<void> => {
      const events = Array.from({ length: 400 }, () => {
        const id = sent++
        return { id: `e${id}`, card_id: `c-${id % CARDS}`, merchant: null, amount: 1, paid_at: Date.now() - 1000 }
      })
      const path = join(project, `events-${sent}.jsonl`)
      writeFileSync(path, events.map((event) => JSON.stringify(event)).join('\n'))
      await json(project, 'produce', 'payments', path)
    }
    await produce()
    const flowing = (async () => {
      for (let i = 0; i < 3; i++) await produce()
    })()
    for (const { role, process: owner } of owners) {
      await pause(random.below(1500))
      owner.child.kill('SIGSTOP')
      assert.ok(roleOwners(data, role).some(({ pid }) => pid === owner.child.pid))
    }
    for (const { role, process: standby } of standbys) {
      await standby.said(/TM_ROLE_STUCK: process \d+ did this too and hung/)
      while (roleOwners(data, role).length > 1) await pause(20)
      assert.equal(roleOwners(data, role)[0].pid, standby.child.pid)
    }
    for (const { process: owner } of owners) {
      owner.child.kill('SIGCONT')
      assert.equal(await owner.exited, 'SIGKILL')
    }
    await flowing
    await json(project, 'wait', '--timeout', '60s')
    const status = await json<{ caughtUp: boolean; owners: { role: string; pid: number; hangs: boolean }[] }>(
      project,
      'status',
    )
    assert.equal(status.caughtUp, true)
    assert.deepEqual(
      status.owners.map(({ role, pid, hangs }) => [role, pid, hangs]),
      standbys.map(({ role, process: { child } }) => [role, child.pid, false]),
    )
    for (let card = 0; card < CARDS; card++) {
      const { rows } = await json<{ rows: { values: unknown[] }[] }>(
        project,
        'get',
        'fraud',
        `card_id=c-${card}`,
        'amount=1',
      )
      assert.equal(rows[0].values[0], sent / CARDS)
    }
    for (const { process: standby } of standbys) {
      standby.child.kill('SIGTERM')
      await standby.exited
    }
    assert.deepEqual(roleOwners(data, 'stream'), [])
    assert.deepEqual(await archivedIds(data), Array.from({ length: sent }, (_, id) => `e${id}`).toSorted())
  },
)

async function archivedIds(data: string): Promise<string[]> {
  const objects = await openFileObjects({ path: join(data, 'objects') })
  const tables = await openTables({ temporaryFolder: join(data, 'duckdb') })
  const log = await openLmdbLog({ path: join(data, 'log'), now: Date.now })
  try {
    const topic = await log.topic('keyed.payments.card')
    assert.ok(topic !== null)
    const ids: string[] = []
    for (let partition = 0; partition < topic.partitions; partition++)
      for (const { name } of await archiveFiles(
        { objects, tables },
        { keyedLog: 'payments.card', incarnation: topic.incarnation, partition },
      ))
        for (const { id } of await query(`SELECT id FROM read_parquet('${await objects.localPath(name)}')`))
          ids.push(String(id))
    return ids.toSorted()
  } finally {
    await tables.close()
    await log.close()
  }
}
