import { failStore } from '../../errors.ts'

export interface S3Address {
  readonly bucket: string
  /** Of every object's key: '' or ending in '/'. */
  readonly prefix: string
  readonly region: string | undefined
  /** Of a server that is not Amazon's. */
  readonly endpoint: string | undefined
}

/** `s3://bucket[/prefix][?region=…&endpoint=http://host:port]`. TM_CONFIG_OBJECTS. */
export function s3Address(url: string): S3Address {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([^?]*))?(?:\?(.*))?$/.exec(url)
  if (match === null) throw wrong(url, 's3://bucket/prefix?region=…&endpoint=…')
  const [, bucket, path = '', query = ''] = match
  const settings = new URLSearchParams(query)
  for (const name of settings.keys())
    if (name !== 'region' && name !== 'endpoint') throw wrong(url, `region or endpoint as a parameter, not ${name}`)
  const endpoint = settings.get('endpoint') ?? undefined
  if (endpoint !== undefined && !/^https?:\/\//.test(endpoint)) throw wrong(url, 'endpoint=http://host:port')
  const prefix = path.replace(/\/+$/, '')
  return { bucket, prefix: prefix === '' ? '' : `${prefix}/`, region: settings.get('region') ?? undefined, endpoint }
}

function wrong(url: string, expected: string): Error {
  return failStore('TM_CONFIG_OBJECTS', `TIDEMARK_OBJECTS is ${url}: expected ${expected}`)
}
