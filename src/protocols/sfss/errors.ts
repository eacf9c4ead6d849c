/** The store's errors as this door's replies: 400, 404, 413 as its document has them, and 504 where no storage answers. */
import { type ErrorCode, toStoreError } from '../../base/errors.ts'
import { ConnectionError } from '../../net/http-client.ts'
import { errorOutcome, type Outcome } from '../../net/reply.ts'

/** All others are 500. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  bad_request: 400,
  key_too_long: 400,
  digest_mismatch: 400,
  incomplete_body: 400,
  unauthorized: 401,
  forbidden: 403,
  object_locked: 403,
  not_found: 404,
  bucket_not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  precondition_failed: 412,
  too_large: 413,
  too_many_requests: 429,
  disk_full: 507,
  quota_exceeded: 507,
  volume_not_found: 504,
  read_only: 504,
  volume_full: 504,
  index_full: 504,
  no_writable_volume: 504,
  unavailable: 504,
  timeout: 504,
}

/** The reply to an expected failure; undefined for what is a bug. */
export function failureOutcome(error: unknown): Outcome | undefined {
  const { code, message } = toStoreError(error)
  if (code === 'internal') return undefined
  // A server of the store that breaks a connection is one that has ended.
  const status = error instanceof ConnectionError ? 504 : (STATUS[code] ?? 500)
  const outcome = errorOutcome(status, message)
  if (code === 'too_many_requests' || code === 'unavailable') outcome.headers.push('Retry-After', '1')
  return outcome
}
