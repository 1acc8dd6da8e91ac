import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'

/** A program that says what it does in lines; each is seen once, in order. */
export class LineProcess {
  readonly #child: ChildProcess
  readonly #exited: Promise<void>
  #lines: string[] = []
  #rest = ''
  #wake: () => void = () => {}
  #errors = ''

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env })
    this.#exited = new Promise((resolve) => this.#child.once('close', () => resolve()))
    void this.#exited.then(() => this.#wake())
    this.#child.stdin?.on('error', () => {})
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#errors = (this.#errors + chunk.toString()).slice(-4000)))
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      const lines = (this.#rest + chunk.toString()).split('\n')
      this.#rest = lines.pop() ?? ''
      this.#lines.push(...lines)
      this.#wake()
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  say(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  /** The lines up to the next one that matches, that one included. Fails where the program ends before. */
  async until(pattern: RegExp): Promise<string[]> {
    const seen: string[] = []
    for (;;) {
      const at = this.#lines.findIndex((line) => pattern.test(line))
      seen.push(...this.#lines.splice(0, at < 0 ? this.#lines.length : at + 1))
      if (at >= 0) return seen
      if (!this.isRunning) throw new Error(`the program ended without ${pattern}: ${this.#errors}`)
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#child.kill(signal)
    await this.#exited
  }
}
