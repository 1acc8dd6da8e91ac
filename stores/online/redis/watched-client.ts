import { setTimeout as pause } from 'node:timers/promises'

/** What a command answers: bulk strings as bytes, integers, arrays of both, null. */
export type Reply = Buffer | string | number | null | Reply[]

/** Commands as one of the clients of a topology takes them. */
export interface Client {
  connect(): Promise<void>
  send(key: Buffer, command: (string | Buffer)[]): Promise<Reply>
  /** Asks every node. */
  everywhere(command: string[]): Promise<Reply[]>
  /** Waits for what is under way. */
  close(): Promise<void>
  /** Waits for nothing: what is under way fails. */
  destroy(): void
}

const LOOK_EVERY_MS = 250
/** Looks without any answer, with commands on their way, after which a server counts as away; and looks that a single command may take. Looks, not time: a process that was stopped is no reason. */
const SILENT_LOOKS_MAX = 12
const COMMAND_LOOKS_MAX = 60
const OPEN_MS_MAX = 5000
const REOPEN_MS_MAX = 1000

/**
 * A client that nobody waits for without end: the ones of Redis wait for the answer to what they have sent as long as the connection stands, and that of a server that hangs, or behind a network that was
 * cut, stands. Then everything under way fails, and so does every command at once, until a client made anew is connected.
 */
export class WatchedClient {
  readonly #make: () => Client
  #client: Client
  /** Commands on their way, the oldest first, each with the look before which it was sent. */
  readonly #sent = new Set<{ readonly look: number }>()
  readonly #timer: NodeJS.Timeout
  #look = 0
  #answeredAt = 0
  #away: Error | null = null
  #isClosed = false

  private constructor(make: () => Client, client: Client) {
    this.#make = make
    this.#client = client
    this.#timer = setInterval(() => this.#watch(), LOOK_EVERY_MS).unref()
  }

  /** Fails where the first connection does. */
  static async open(make: () => Client): Promise<WatchedClient> {
    return new WatchedClient(make, await connected(make))
  }

  async send(key: Buffer, command: readonly (string | Buffer)[]): Promise<Reply> {
    if (this.#away !== null) throw this.#away
    const sent = { look: this.#look }
    this.#sent.add(sent)
    try {
      return await this.#client.send(key, command as (string | Buffer)[])
    } catch (error) {
      throw this.#away ?? error
    } finally {
      this.#sent.delete(sent)
      this.#answeredAt = this.#look
    }
  }

  everywhere(command: string[]): Promise<Reply[]> {
    return this.#client.everywhere(command)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#away === null) await this.#client.close()
    clearInterval(this.#timer)
  }

  #watch(): void {
    this.#look++
    const [oldest] = this.#sent
    if (oldest === undefined || this.#away !== null) return
    const waited = this.#look - oldest.look
    const silent = this.#look - Math.max(oldest.look, this.#answeredAt)
    if (silent < SILENT_LOOKS_MAX && waited < COMMAND_LOOKS_MAX) return
    const looks = silent < SILENT_LOOKS_MAX ? waited : silent
    this.#away = new Error(`no answer for ${(looks * LOOK_EVERY_MS) / 1000} s`)
    this.#client.destroy()
    void this.#reopen()
  }

  async #reopen(): Promise<void> {
    for (let pauseMs = LOOK_EVERY_MS; !this.#isClosed; pauseMs = Math.min(2 * pauseMs, REOPEN_MS_MAX)) {
      try {
        const client = await connected(this.#make)
        if (this.#isClosed) client.destroy()
        this.#client = client
        this.#away = null
        return
      } catch {
        await pause(pauseMs, undefined, { ref: false })
      }
    }
  }
}

/** A server that hangs takes connections, and says nothing. */
async function connected(make: () => Client): Promise<Client> {
  const client = make()
  let timer: NodeJS.Timeout | undefined
  try {
    const late = new Promise<never>((_, fail) => {
      timer = setTimeout(() => fail(new Error(`no answer for ${OPEN_MS_MAX / 1000} s`)), OPEN_MS_MAX)
    })
    await Promise.race([client.connect(), late])
    return client
  } catch (error) {
    client.destroy()
    throw error
  } finally {
    clearTimeout(timer)
  }
}
