#!/usr/bin/env node
import { enableCompileCache } from 'node:module'

// Compiled code is kept between runs, so that a command starts in half the time. Everything else is loaded after this.
enableCompileCache()
const { runCommandLine } = await import('./command-line.ts')
await runCommandLine(process.argv.slice(2))
