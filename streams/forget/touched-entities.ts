import type { KeyedLog } from '../../registry/keyed-logs.ts'
import { entityKeysOfBatch } from '../../features/values/entity-key.ts'
import { archiveFiles } from '../../stores/tables/archive-files.ts'
import { sqlName, sqlText } from '../../stores/tables/tables.ts'
import { entityColumns } from '../ingest/keyed-append.ts'
import { readBlock } from '../blocks/keyed-reader.ts'
import { keyedTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'
import type { ForgottenKey } from './forgotten-key.ts'

const FETCH_BYTES = 4 << 20

/** The entities of a partition of a keyed log that have events about the key, in the archive or the log. */
export async function touchedEntities(
  context: StreamContext,
  key: ForgottenKey,
  keyedLog: KeyedLog,
  partition: number,
): Promise<Uint8Array[]> {
  const found = new Map<string, Uint8Array>()
  const add = (keys: Iterable<Uint8Array>): void => {
    for (const bytes of keys) found.set(Buffer.from(bytes).toString('latin1'), bytes)
  }
  const topic = await context.log.topic(keyedTopic(keyedLog.name))
  if (topic === null) return []
  const { source, entity } = keyedLog
  const place = { keyedLog: keyedLog.name, incarnation: topic.incarnation, partition }
  for (const { name } of await archiveFiles(context, place)) {
    const path = sqlText(await context.objects.localPath(name))
    const columns = entity.columns.map(({ name: column, type }) =>
      ['int32', 'float32', 'float64', 'timestamp'].includes(type.kind) ? `${sqlName(column)}::DOUBLE` : sqlName(column),
    )
    const rows = await context.tables.queryAll(
      `SELECT DISTINCT ${columns.join(', ')} FROM read_parquet(${path}) WHERE ${key.sql()}`,
      entity.columns,
    )
    add(entityKeysOfBatch(entity, rows.columns, rows.rows).distinct)
  }
  for (let next = await context.log.startOffset(topic.name, partition); ;) {
    const records = await context.log.read(topic.name, partition, next, FETCH_BYTES)
    if (records.length === 0) return [...found.values()]
    next = records[records.length - 1].offset + 1
    for (const record of records) {
      const { columns, length } = readBlock(record, source.fields, `${keyedLog.name}/${partition}`)
      const about = key.rowsOf(source, columns, length)
      if (!about.includes(1)) continue
      const { distinct, keyOf } = entityKeysOfBatch(entity, entityColumns(source, entity, columns), length)
      add(
        keyOf
          .filter((number, i) => number >= 0 && about[i] === 1)
          .reduce((keys, n) => keys.add(distinct[n]), new Set<Uint8Array>()),
      )
    }
  }
}
