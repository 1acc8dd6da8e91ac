import { defineConfig } from 'tidemark'

/** June 2001 is replayed as live: a day a minute. */
export default defineConfig({ clock: { from: '2001-06-01T00:00Z', rate: 1440 } })
