import { createTopicsV7, deleteTopicsV6, describeConfigsV4 } from '@platformatic/kafka'
import { failStore } from '../../errors.ts'
import { isKafkaError, Passing } from './cluster.ts'
import type { ClusterTopic, KafkaCluster } from './cluster.ts'

const ADMIN_MS_MAX = 15_000
const TOPIC_RESOURCE = 2

/** What a topic of Tidemark's must be: the time of a record is the broker's, and no record goes by itself. */
const SETTINGS: Readonly<Record<string, string>> = {
  'message.timestamp.type': 'LogAppendTime',
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'retention.bytes': '-1',
}

/** What it is made with besides: an event may be larger than a broker's default. */
const BEGINNINGS: Readonly<Record<string, string>> = { 'max.message.bytes': String(16 << 20) }

export interface NewTopic {
  /** −1: as the cluster makes them. */
  readonly partitions: number
  /** Others own it: it is made with what the cluster has for topics. */
  readonly isForeign?: boolean
  readonly settings?: Readonly<Record<string, string>>
}

/** The topic; made where it is not there. TM_LOG_SETTING: it is there with other settings. */
export async function topicOrNew(cluster: KafkaCluster, name: string, asked: NewTopic): Promise<ClusterTopic> {
  return (await cluster.topic(name)) ?? makeTopic(cluster, name, asked)
}

async function makeTopic(cluster: KafkaCluster, name: string, asked: NewTopic): Promise<ClusterTopic> {
  const settings = asked.isForeign === true ? {} : { ...SETTINGS, ...BEGINNINGS, ...asked.settings }
  const configs = Object.entries(settings).map(([setting, value]) => ({ name: setting, value }))
  const topic = { name, numPartitions: asked.partitions, replicationFactor: -1, assignments: [], configs }
  await cluster.retrying(`the creation of topic ${name}`, async () => {
    try {
      await createTopicsV7.api.async(await cluster.controller(), [topic], ADMIN_MS_MAX, false)
    } catch (error) {
      if (!isKafkaError(error, 'TOPIC_ALREADY_EXISTS')) throw error
    }
  })
  // Brokers learn of it one by one.
  return cluster.retrying(`topic ${name}`, async () => {
    const made = await cluster.topic(name, true)
    if (made === null || made.leaders.some((leader) => leader < 0)) throw new Passing(`${name} is being made`)
    try {
      if (asked.isForeign !== true) await refuseSettings(cluster, name)
    } catch (error) {
      if (isKafkaError(error, 'UNKNOWN_TOPIC_OR_PARTITION')) throw new Passing(`${name} is being made`)
      throw error
    }
    return made
  })
}

/** TM_LOG_SETTING: somebody made the topic otherwise. */
async function refuseSettings(cluster: KafkaCluster, name: string): Promise<void> {
  const { results } = await describeConfigsV4.api.async(
    await cluster.controller(),
    [{ resourceType: TOPIC_RESOURCE, resourceName: name, configurationKeys: Object.keys(SETTINGS) }],
    false,
    false,
  )
  for (const { name: setting, value } of results[0].configs)
    if (SETTINGS[setting] !== value)
      throw failStore(
        'TM_LOG_SETTING',
        `topic ${name} has ${setting}=${value ?? ''}, expected ${SETTINGS[setting]}: set it with kafka-configs`,
        { details: { topic: name, setting, expected: SETTINGS[setting], found: value } },
      )
}

export async function deleteTopic(cluster: KafkaCluster, name: string): Promise<void> {
  await cluster.retrying(`the deletion of topic ${name}`, async () => {
    try {
      await deleteTopicsV6.api.async(await cluster.controller(), [{ name }], ADMIN_MS_MAX)
    } catch (error) {
      if (!isKafkaError(error, 'UNKNOWN_TOPIC_OR_PARTITION')) throw error
    }
  })
  await cluster.retrying(`the deletion of topic ${name}`, async () => {
    if ((await cluster.topic(name, true)) !== null) throw new Passing(`${name} is being deleted`)
  })
}
