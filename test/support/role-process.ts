import { runRole } from '../../cli/roles/run-role.ts'
import { createLogLines } from '../../cli/terminal/log-lines.ts'
import type { WorkRole } from '../../cli/run-roles.ts'

/** A role alone, with leases of its own lengths: `node role-process.ts PROJECT ROLE LEASE_MS [WORKER_LEASE_MS]`. */
const [directory, role, leaseMs, workerLeaseMs] = process.argv.slice(2)
await runRole(role as WorkRole, {
  directory,
  port: null,
  log: createLogLines(false),
  leaseMs: Number(leaseMs),
  ...(workerLeaseMs === undefined ? {} : { workerLeaseMs: Number(workerLeaseMs) }),
})
