/** The store's errors as the filer's replies. */
import { type ErrorCode, toStoreError } from '../../base/errors.ts'
import { USUAL_STATUS } from '../../net/error-status.ts'
import { errorOutcome, type Outcome } from '../../net/reply.ts'

/** HTTP status of each error. */
const FILER_STATUS = {
  ...USUAL_STATUS,
  cookie_mismatch: 500,
  volume_not_found: 500,
  volume_exists: 500,
  read_only: 507,
  volume_full: 507,
  no_writable_volume: 507,
  bucket_not_empty: 500, // as for a directory
  key_too_long: 414,
  directory_not_empty: 500, // what SeaweedFS's clients know
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
