/*
 * Names in the cluster. Topics of a deployment begin with its own name (`tidemark.keyed.payments.card`), so that several deployments share a cluster; those of others are as they are.
 */
const FOREIGN = 'foreign:'
/** Topics of the adapter itself. */
const SETTLED = 'settled.'

/** How a topic that belongs to others is named at the port. */
export const foreignName = (topic: string): string => `${FOREIGN}${topic}`

export const isForeign = (name: string): boolean => name.startsWith(FOREIGN)

/** Where a group's settled times are. */
export const settledName = (group: string): string => `${SETTLED}${group}`

export const clusterName = (deployment: string, name: string): string =>
  isForeign(name) ? name.slice(FOREIGN.length) : `${deployment}.${name}`

/** The name at the port; null: a topic of others, or of the adapter itself. */
export function portName(deployment: string, topic: string): string | null {
  if (!topic.startsWith(`${deployment}.`)) return null
  const name = topic.slice(deployment.length + 1)
  return name.startsWith(SETTLED) ? null : name
}
