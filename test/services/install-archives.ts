import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { startKafka } from './kafka-cluster.ts'
import {
  CLASS_ARCHIVE,
  COMPLETE,
  findJava,
  installed,
  isComplete,
  KAFKA_FOLDER,
  kafkaClassPath,
  REGISTRY_FOLDER,
  REGISTRY_VERSION,
  S3_FOLDER,
} from './installation.ts'
import { startSchemaRegistry } from './schema-registry.ts'

const HERE = import.meta.dirname
/** The plugin that Debian's Maven has as its default; later ones do not fetch an artefact whose parent is missing. */
const DEPENDENCY_PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:2.8'
const QUIET = { stdio: ['ignore', 'ignore', 'inherit'] as ('ignore' | 'inherit')[] }

/** The broker's jars, a formatted data folder to copy, and a class archive that shortens every start. */
export async function installKafka(): Promise<void> {
  await build(KAFKA_FOLDER, (folder) => {
    mvn(
      '-f',
      join(HERE, 'kafka', 'pom.xml'),
      `${DEPENDENCY_PLUGIN}:copy-dependencies`,
      `-DoutputDirectory=${join(folder, 'lib')}`,
    )
    formatOnce(folder)
  })
  await archiveClasses(KAFKA_FOLDER, async (extraJavaFlags) => {
    const { nodes, stop } = await startKafka({ extraJavaFlags })
    await nodes[0].terminate()
    await stop()
  })
}

/** Apicurio Registry. Its parent pom is not on Maven Central: it cannot be a dependency of a pom, but `get` fetches it. */
export async function installRegistry(): Promise<void> {
  await build(REGISTRY_FOLDER, (folder) => {
    const archive = join(folder, 'registry.tar.gz')
    const artefact = `io.apicurio:apicurio-registry-app:${REGISTRY_VERSION}:tar.gz:all`
    mvn(`${DEPENDENCY_PLUGIN}:get`, '-Dtransitive=false', `-Dartifact=${artefact}`, `-Ddest=${archive}`)
    execFileSync('tar', ['xzf', archive, '-C', folder], QUIET)
    rmSync(archive)
  })
  await archiveClasses(REGISTRY_FOLDER, async (extraJavaFlags) => {
    const { process: server, stop } = await startSchemaRegistry({ extraJavaFlags })
    await server.terminate()
    await stop()
  })
}

export async function installS3(): Promise<void> {
  await build(S3_FOLDER, (folder) => {
    execFileSync('python3', ['-m', 'venv', join(folder, 'venv')], QUIET)
    const python = join(folder, 'venv', 'bin', 'python')
    execFileSync(python, ['-m', 'pip', 'install', '-q', '-r', join(HERE, 's3', 'requirements.txt')], QUIET)
  })
}

/** Makes a folder aside and moves it into its place when it is whole: an installation cut short is begun anew. */
async function build(folder: string, fill: (folder: string) => void | Promise<void>): Promise<void> {
  if (isComplete(folder)) return
  console.log(`services: installing ${folder}`)
  const aside = `${folder}.${process.pid}`
  rmSync(aside, { recursive: true, force: true })
  mkdirSync(aside, { recursive: true })
  try {
    await fill(aside)
    writeFileSync(join(aside, COMPLETE), '')
    rmSync(folder, { recursive: true, force: true })
    renameSync(aside, folder)
  } finally {
    rmSync(aside, { recursive: true, force: true })
  }
}

/** A class archive holds for one build of Java; another one gets its own. */
async function archiveClasses(folder: string, run: (flags: string[]) => Promise<void>): Promise<void> {
  const java = realpathSync(installed(findJava(), 'Java'))
  const madeFor = `${java} ${statSync(join(dirname(java), '..', 'lib', 'modules')).mtimeMs}`
  const note = join(folder, `${CLASS_ARCHIVE}.java`)
  const archive = join(folder, CLASS_ARCHIVE)
  if (existsSync(archive) && existsSync(note) && readFileSync(note, 'utf8') === madeFor) return
  console.log(`services: class archive ${archive}`)
  const aside = `${archive}.${process.pid}`
  rmSync(archive, { force: true })
  await run([`-XX:ArchiveClassesAtExit=${aside}`, '-Xlog:cds=off', '-Xlog:cds+dynamic=off'])
  renameSync(aside, archive)
  writeFileSync(note, madeFor)
}

function formatOnce(folder: string): void {
  const properties = join(folder, 'format.properties')
  const data = join(folder, 'formatted')
  copyFileSync(join(HERE, 'kafka', 'server.properties'), properties)
  const own = [
    'node.id=1',
    'controller.quorum.voters=1@127.0.0.1:1',
    'listeners=PLAINTEXT://127.0.0.1:2,CONTROLLER://127.0.0.1:1',
    `log.dirs=${data}`,
  ]
  writeFileSync(properties, `${own.join('\n')}\n`, { flag: 'a' })
  const java = installed(findJava(), 'Java')
  const tool = ['-Xmx128m', '-cp', kafkaClassPath(folder), 'kafka.tools.StorageTool', 'format']
  // Which id does not matter: every start gives its nodes their own.
  execFileSync(java, [...tool, '-t', 'AAAAAAAAAAAAAAAAAAAAAQ', '-c', properties], { stdio: 'pipe' })
}

function mvn(...args: string[]): void {
  execFileSync('mvn', ['-B', '-q', ...args], QUIET)
}
