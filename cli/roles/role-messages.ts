import type { WaitedFor } from '../engine-waits.ts'

export const ROLE_NAMES = ['stream', 'archive', 'serve'] as const
/** What runs beside what: the parts of a Tidemark deployment. */
export type RoleName = (typeof ROLE_NAMES)[number]

export const ALIVE_EVERY_MS = 1000

/** From a role's process to the supervisor. */
export type RoleReport =
  | { readonly kind: 'ready'; readonly url: string | null }
  /** Every `ALIVE_EVERY_MS`: its event loop turns. */
  | { readonly kind: 'alive' }
  /** Engines that do not answer; empty: all that it needs do. */
  | { readonly kind: 'waits'; readonly waitsFor: readonly WaitedFor[] }
  | {
      readonly kind: 'failed'
      readonly code: string
      readonly message: string
      /** Whether a fresh process can be expected to do better. */
      readonly again: boolean
    }

/** From the supervisor to a role's process. */
export type RoleOrder =
  | { readonly kind: 'stop' }
  /** Of the other roles: those that do not work, and those that wait for an engine, in words; empty: all go on. */
  | { readonly kind: 'unwell'; readonly reasons: readonly string[]; readonly waiting: readonly string[] }
