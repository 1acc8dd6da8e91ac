import type { S3Place } from '../objects/s3/client.ts'

export interface S3Glob extends S3Place {
  readonly bucket: string
  /** A glob over keys. */
  readonly keys: string
}

/** What an `S3Glob` is written like. */
export const S3_GLOB = 's3://bucket/prefix/*.parquet, with ?region=… or ?endpoint=http://host:port if need be'

/** `s3://bucket/prefix/*.parquet[?region=…&endpoint=http://host:port]`, or null where it is none. */
export function s3Glob(text: string): S3Glob | null {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/(.+?)(?:\?((?:region|endpoint)=.*))?$/.exec(text)
  if (match === null) return null
  const settings = new URLSearchParams(match[3] ?? '')
  return {
    bucket: match[1],
    keys: match[2],
    region: settings.get('region') ?? undefined,
    endpoint: settings.get('endpoint') ?? undefined,
  }
}
