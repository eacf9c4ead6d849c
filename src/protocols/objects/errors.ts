/** The store's errors as this door's replies. */
import { type ErrorCode, StoreError, toStoreError } from '../../base/errors.ts'
import { USUAL_STATUS } from '../../net/error-status.ts'
import { errorOutcome, type Outcome } from '../../net/reply.ts'

const STATUS: Record<ErrorCode, number> = {
  ...USUAL_STATUS,
  volume_not_found: 503,
  no_writable_volume: 503,
  read_only: 503,
  volume_full: 503,
}

/** What keeps bytes from being read that a name is there for. */
const LOST: ReadonlySet<ErrorCode> = new Set([
  ...(['not_found', 'volume_not_found', 'corrupt', 'io_error', 'unavailable', 'timeout'] as const),
])

/** An object whose bytes cannot be had is not found here, whatever the reason; the reply names it. */
export function asLost(error: unknown): unknown {
  if (!(error instanceof StoreError) || !LOST.has(error.code)) return error
  return new StoreError('not_found', `the object is there, its bytes cannot be read: ${error.message}`, {
    cause: error,
  })
}

/** The reply to an expected failure; undefined for what is a bug. */
export function failureOutcome(error: unknown): Outcome | undefined {
  const { code, message } = toStoreError(error)
  if (code === 'internal') return undefined
  const outcome = errorOutcome(STATUS[code], message)
  if (code === 'too_many_requests' || code === 'unavailable') outcome.headers.push('Retry-After', '1')
  return outcome
}
