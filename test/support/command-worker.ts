import { runCommandLine } from '../../cli/command-line.ts'

/* Runs commands of the parent one after another, each as `cli/main.ts` does, and answers with its exit code and what it said. */

let stdout = ''
let stderr = ''
process.stdout.write = (chunk: unknown): boolean => {
  stdout += String(chunk)
  return true
}
process.stderr.write = (chunk: unknown): boolean => {
  stderr += String(chunk)
  return true
}
// Each command listens for signals and closed pipes anew.
for (const emitter of [process, process.stdout, process.stderr]) emitter.setMaxListeners(0)

process.on('message', (args: readonly string[]) => {
  stdout = stderr = ''
  process.exitCode = undefined
  void runCommandLine(args).then(() => {
    process.send?.({ code: Number(process.exitCode ?? 0), stdout, stderr })
  })
})
process.on('disconnect', () => process.exit(0))
