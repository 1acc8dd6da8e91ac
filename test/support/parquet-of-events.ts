import { query } from './platform.ts'

/** The same rows as Parquet, in the types that other tools write. */
export async function parquetOfEvents(path: string): Promise<string> {
  const types = {
    key: 'VARCHAR',
    shop: 'BIGINT',
    amount: 'DOUBLE',
    heat: 'FLOAT',
    small: 'INTEGER',
    big: 'BIGINT',
    label: 'VARCHAR',
    flag: 'BOOLEAN',
    kind: 'VARCHAR',
    raw: 'VARCHAR',
    seen: 'BIGINT',
    vec: 'FLOAT[]',
    at: 'BIGINT',
    known: 'BIGINT',
  }
  const columns = Object.entries(types).map(([name, type]) => `"${name}": '${type}'`)
  const out = path.replace('.jsonl', '.parquet')
  await query(
    `COPY (SELECT * REPLACE (from_base64(raw) AS raw, make_timestamp("at" * 1000) AS "at", make_timestamptz(known * 1000) AS known)
     FROM read_json('${path}', columns = {${columns.join(', ')}})) TO '${out}' (FORMAT parquet)`,
  )
  return out
}
