import { defineConfig } from 'tidemark'

/** The evening after the last flight of the data, in real time. */
export default defineConfig({ clock: { from: '2001-06-30T23:00:30Z', rate: 1 } })
