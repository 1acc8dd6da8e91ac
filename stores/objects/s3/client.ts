import { S3Client, S3ServiceException } from '@aws-sdk/client-s3'
import { isTidemarkError } from '../../../features/errors/tidemark-error.ts'
import { failStore } from '../../errors.ts'

const ATTEMPTS_MAX = 3
const CONNECT_MS_MAX = 5000
/** A connection on which nothing moves for this long is given up: its server hangs, or the network to it is cut. */
const SILENT_MS_MAX = 10_000

export interface S3Place {
  readonly region: string | undefined
  /** Of a server that is not Amazon's. */
  readonly endpoint: string | undefined
}

/** The SDK would tell the console of what its caller is told anyway: also of an object that is there already, which is no failure. */
const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** Credentials, and a region that is not said, are found as the AWS SDK does. */
export function s3Client({ endpoint, region }: S3Place): S3Client {
  return new S3Client({
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...(region === undefined ? (endpoint === undefined ? {} : { region: 'us-east-1' }) : { region }),
    maxAttempts: ATTEMPTS_MAX,
    logger: SILENT,
    requestHandler: { connectionTimeout: CONNECT_MS_MAX, socketTimeout: SILENT_MS_MAX },
  })
}

export function isStatus(error: unknown, status: number): boolean {
  return error instanceof S3ServiceException && error.$metadata.httpStatusCode === status
}

/** TM_OBJECTS_REFUSED, TM_OBJECTS_UNAVAILABLE. */
export function s3Failure(error: unknown, what: string): Error {
  if (isTidemarkError(error)) return error
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  const status = error instanceof S3ServiceException ? (error.$metadata.httpStatusCode ?? 0) : 0
  if (status >= 400 && status < 500 && status !== 429)
    return failStore('TM_OBJECTS_REFUSED', `S3 refused a request for ${what}: ${message} (${status})`, { cause: error })
  return failStore('TM_OBJECTS_UNAVAILABLE', `S3 does not answer for ${what} (${message}): it is tried again`, {
    cause: error,
  })
}
