import { randomUUID } from 'node:crypto'
import type { TestContext } from 'node:test'
import { Client } from 'pg'
import { sharedServer } from './shared-server.ts'

/** The URL of an empty database on the shared PostgreSQL server, dropped after the test. */
export async function freshDatabase(context: TestContext): Promise<string> {
  const { url } = await sharedServer('postgres')
  const name = `test_${randomUUID().replaceAll('-', '')}`
  await run(url, `create database ${name}`)
  context.after(() => run(url, `drop database ${name} with (force)`))
  const own = new URL(url)
  own.pathname = name
  return own.href
}

async function run(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
