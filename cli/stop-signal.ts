/** A terminal and npm both pass Ctrl-C on: what comes this soon after the first is the same key press. */
const SAME_KEY_PRESS_MS = 400

/** Aborted by Ctrl-C or SIGTERM; a second Ctrl-C ends the process at once. */
export function stopSignal(onSecond: () => void = () => {}): AbortSignal {
  const controller = new AbortController()
  let stoppedAt = 0
  const stop = (): void => {
    if (!controller.signal.aborted) {
      stoppedAt = performance.now()
      controller.abort()
    } else if (performance.now() - stoppedAt > SAME_KEY_PRESS_MS) {
      onSecond()
      process.exit(130)
    }
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  process.on('SIGHUP', stop)
  return controller.signal
}

/** Resolves when aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
