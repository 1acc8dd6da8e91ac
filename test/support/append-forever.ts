import { openLmdbLog } from '../../stores/log/lmdb/open.ts'

/** Child process: appends calls of three records [writer, call, part] to topic `a` until killed, and reports each call once it is durable. */
const [path, writer] = process.argv.slice(2)
const log = await openLmdbLog({ path, now: () => 0 })
for (let call = 0; ; call++) {
  const { baseOffset } = await log.append(
    'a',
    0,
    [0, 1, 2].map((part) => new TextEncoder().encode(`${writer} ${call} ${part}`)),
  )
  process.send?.({ call, baseOffset })
}
