/** The store's errors as the filer's replies. */
import { type ErrorCode, toStoreError } from '../../base/errors.ts'
import { errorOutcome, type Outcome } from '../../net/reply.ts'

/** HTTP status of each error. */
export const FILER_STATUS = {
  bad_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  cookie_mismatch: 500,
  volume_not_found: 500,
  volume_exists: 500,
  collection_not_found: 404,
  read_only: 507,
  volume_full: 507,
  no_writable_volume: 507,
  disk_full: 507,
  index_full: 507,
  too_large: 413,
  too_many_requests: 429,
  bucket_not_found: 404,
  bucket_exists: 409,
  bucket_not_empty: 500, // as for a directory
  version_not_found: 404,
  upload_not_found: 404,
  invalid_part: 400,
  invalid_part_order: 400,
  part_too_small: 400,
  precondition_failed: 412,
  method_not_allowed: 405,
  object_locked: 403,
  quota_exceeded: 507,
  key_too_long: 414,
  digest_mismatch: 400,
  incomplete_body: 400,
  directory_exists: 409,
  directory_not_empty: 500, // what SeaweedFS's clients know
  corrupt: 500,
  io_error: 500,
  in_use: 409,
  unsupported: 501,
  conflict: 409,
  unavailable: 503,
  timeout: 504,
  internal: 500,
} as const satisfies Record<ErrorCode, number>

/** The reply to an expected failure; undefined for what is a bug. */
export function failureOutcome(error: unknown, pretty = false): Outcome | undefined {
  const failure = toStoreError(error)
  if (failure.code === 'internal') return undefined
  const outcome = errorOutcome(FILER_STATUS[failure.code], failure.message, pretty)
  if (failure.code === 'too_many_requests' || failure.code === 'unavailable')
    outcome.headers.push('Retry-After', '1')
  return outcome
}
