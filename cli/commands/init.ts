import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { failCli } from '../errors.ts'
import { cards } from '../templates/cards.ts'
import { clicks } from '../templates/clicks.ts'
import type { Template } from '../templates/template.ts'
import { didYouMean } from '../../features/errors/closest-name.ts'

const TEMPLATES: Readonly<Record<string, Template>> = { cards, clicks }
const NAMES = Object.keys(TEMPLATES).join(', ')

export function registerInit(program: Command): void {
  program
    .command('init <dir>')
    .description('make a project that runs: definitions, events to try, and a README that says what to do')
    .option('--template <name>', `one of ${NAMES}`, 'cards')
    .addHelpText('after', '\nExamples:\n  tidemark init my-features\n  tidemark init shop --template clicks\n')
    .action((dir: string, options: { template: string }) => {
      if (!Object.hasOwn(TEMPLATES, options.template))
        throw failCli(
          'TM_USAGE',
          `--template ${options.template}: expected one of ${NAMES}${didYouMean(options.template, Object.keys(TEMPLATES))}`,
        )
      const template = TEMPLATES[options.template]
      const folder = resolve(dir)
      checkFree(folder, dir)
      const files = { ...template.files(Date.now()), ...commonFiles(basename(folder), template) }
      for (const [name, text] of Object.entries(files)) {
        const path = join(folder, name)
        // A package.json or .gitignore that is there already stays as it is.
        if (existsSync(path)) continue
        mkdirSync(dirname(path), { recursive: true })
        writeFileSync(path, text)
      }
      process.stdout.write(
        `Made ${dir}: ${Object.keys(files).join(', ')}.\n\nNext:\n${steps(dir, template)}\n${dir}/README.md says what each does.\n`,
      )
    })
}

/** A folder that has definitions already, or is no folder, is left alone. TM_USAGE. */
function checkFree(folder: string, dir: string): void {
  if (!existsSync(folder)) return
  try {
    if (!readdirSync(folder).includes('features')) return
  } catch {
    throw failCli('TM_USAGE', `${dir} is not a folder: name one that is new or empty`)
  }
  throw failCli(
    'TM_USAGE',
    `${dir} has definitions already (features/): name a new folder, or run \`tidemark plan\` there`,
  )
}

function steps(project: string, { source, service, example }: Template): string {
  const at = project === '.' ? '' : ` --project ${project}`
  return [
    `  tidemark apply${at}`,
    `  tidemark import ${source} ${join(project, 'events.jsonl')} --arrival event-time${at}`,
    `  tidemark get ${service} ${example}${at}`,
  ]
    .map((line) => `${line}\n`)
    .join('')
}

function commonFiles(name: string, template: Template): Record<string, string> {
  const definitions = Object.keys(template.files(0)).find((path) => path.startsWith('features/')) ?? 'features/'
  const { source, service, example } = template
  return {
    '.gitignore': '.tidemark/\nnode_modules/\n',
    'package.json': `${JSON.stringify({ name, private: true, type: 'module' }, null, 2)}\n`,
    'README.md': `# ${name}

Features, defined in \`${definitions}\` and served by [Tidemark](https://www.npmjs.com/package/tidemark). Run these in this folder:

\`\`\`sh
tidemark apply                                   # register the definitions; \`tidemark plan\` says first what would change
tidemark import ${source} events.jsonl --arrival event-time   # history: each event counts from its own time
tidemark get ${service} ${example}    # one vector, with a status for each value
tidemark export ${service} --spine spine.csv --out training.csv   # a training set: each row as of its own time
tidemark start                                   # streams, archive and HTTP on 127.0.0.1:7070, until Ctrl-C
\`\`\`

While \`tidemark start\` runs, every vector that is served over HTTP can be proved:

\`\`\`sh
curl -s http://127.0.0.1:7070/v1/features/${service} -H 'content-type: application/json' -d '${JSON.stringify(body(example))}'
tidemark verify                                  # recomputes it from the archive, byte for byte
tidemark status
\`\`\`

Live events come in one JSON object a line, and count from when they arrive: \`tidemark produce ${source} FILE.jsonl\`, or \`-\` for standard input. A row of
\`spine.csv\` sees exactly what had arrived before its time.

All data is under \`.tidemark/\`: stop Tidemark and delete it to begin anew.
`,
  }
}

/** The body of a request for the example's keys and request fields. */
function body(example: string): unknown {
  const pairs = example.split(' ').map((pair): [string, string] => pair.split('=') as [string, string])
  const keys = pairs.filter(([key]) => key.endsWith('_id'))
  const request = pairs.filter(([key]) => !key.endsWith('_id')).map(([key, text]) => [key, Number(text)] as const)
  const entities = [Object.fromEntries(keys)]
  return request.length === 0 ? { entities } : { entities, request: [Object.fromEntries(request)] }
}
