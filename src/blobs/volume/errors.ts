/** The store's errors as a volume server's replies. */
import { type ErrorCode, type StoreError, toStoreError } from '../../base/errors.ts'
import { USUAL_STATUS } from '../../net/error-status.ts'
import { errorOutcome, type Outcome } from '../../net/reply.ts'
import { ERROR_CODE_HEADER } from '../cluster-wire.ts'

/** HTTP status of each error. 409 asks the client for another volume, 5xx for another try. */
const VOLUME_STATUS = {
  ...USUAL_STATUS,
  cookie_mismatch: 500, // what SeaweedFS's clients know
} as const satisfies Record<ErrorCode, number>

/** The reply to an expected failure; undefined for what is a bug. */
export function failureOutcome(error: unknown, pretty = false): Outcome | undefined {
  const failure = toStoreError(error)
  if (failure.code === 'internal') return undefined
  const outcome = errorOutcome(VOLUME_STATUS[failure.code], messageOf(failure), pretty)
  outcome.headers.push(ERROR_CODE_HEADER, failure.code)
  if (failure.code === 'too_many_requests' || failure.code === 'unavailable')
    outcome.headers.push('Retry-After', '1')
  return outcome
}

function messageOf(failure: StoreError): string {
  return failure.code === 'cookie_mismatch'
    ? `failed to write to local disk: ${failure.message}`
    : failure.message
}
