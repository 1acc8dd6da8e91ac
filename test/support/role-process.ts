import { runRole } from '../../cli/roles/run-role.ts'
import { createLogLines } from '../../cli/terminal/log-lines.ts'
import type { WorkRole } from '../../cli/run-roles.ts'

/** A role alone, with a lease of its own length: `node role-process.ts PROJECT ROLE LEASE_MS`. */
const [directory, role, leaseMs] = process.argv.slice(2)
await runRole(role as WorkRole, { directory, port: null, log: createLogLines(false), leaseMs: Number(leaseMs) })
