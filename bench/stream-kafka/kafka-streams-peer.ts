import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { findJava, installed } from '../../test/services/installation.ts'
import { LineProcess } from './line-process.ts'

const SOURCES = join(import.meta.dirname, 'kafka-streams')
const NAME = 'HoppingDelays'

export interface StreamsOptions {
  readonly bootstrap: string
  readonly topic: string
  readonly application: string
  readonly folder: string
  readonly guarantee: 'at_least_once' | 'exactly_once_v2'
  readonly threads: number
  /** Makes it a static member of its group; absent: as shipped. */
  readonly member?: string
}

/** Starts the Kafka Streams application of `HoppingDelays.java`, which says how it is spoken to. */
export function startKafkaStreams(options: StreamsOptions): LineProcess {
  const { classes, lib } = built()
  const args = Object.entries(options).map(([name, value]) => `${name}=${value}`)
  const flags = ['-Xms1g', '-Xmx1g', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error']
  return new LineProcess(installed(findJava(), 'Java'), [...flags, '-cp', `${classes}:${lib}/*`, NAME, ...args])
}

/** Jars from Maven Central and the compiled class, in the cache folder. */
function built(): { readonly classes: string; readonly lib: string } {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
  const folder = join(cache, 'tidemark-bench', 'kafka-streams-4.3.1')
  const [classes, lib, source] = [join(folder, 'classes'), join(folder, 'lib'), join(SOURCES, `${NAME}.java`)]
  mkdirSync(folder, { recursive: true })
  if (!existsSync(lib)) {
    const target = `-DoutputDirectory=${lib}.part`
    execFileSync('mvn', ['-B', '-q', '-f', join(SOURCES, 'pom.xml'), 'dependency:copy-dependencies', target])
    renameSync(`${lib}.part`, lib)
  }
  const made = statSync(join(classes, `${NAME}.class`), { throwIfNoEntry: false })
  if (made === undefined || made.mtimeMs < statSync(source).mtimeMs)
    execFileSync('javac', ['-cp', `${lib}/*`, '-d', classes, source])
  return { classes, lib }
}
