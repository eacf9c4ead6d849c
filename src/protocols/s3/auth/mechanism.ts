/** The answer to ways of signing that are not, or not any more, taken. */
import { S3Error } from '../s3-error.ts'

export function unsupportedMechanism(): S3Error {
  return new S3Error(
    'InvalidRequest',
    'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
  )
}
