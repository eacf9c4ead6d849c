/** The one error type of the store. It knows nothing of any protocol: each front door maps the codes to its own replies. */

/** Closed list of what can go wrong. `docs/errors.md` explains each; a test compares the two. */
export const ERROR_CODES = [
  'bad_request', // the caller's input is malformed
  'unauthorized', // no or wrong credentials
  'forbidden', // credentials are right, the action is not allowed
  'not_found', // no such needle, file, object
  'cookie_mismatch', // the needle exists with another cookie
  'volume_not_found', // no such volume on this server
  'volume_exists', // a volume with that id is already here
  'collection_not_found', // no volume of that collection
  'read_only', // the volume takes no writes
  'volume_full', // the volume has reached its largest size
  'no_writable_volume', // no volume fits the request and none can be made
  'disk_full', // no space left, or the reserve is reached
  'index_full', // the memory set aside for the needle index is used up
  'too_large', // a body, name, mime or pairs over its limit
  'too_many_requests', // bodies in flight over their limit
  'corrupt', // stored bytes do not match their checksums
  'io_error', // the disk answered with an error
  'in_use', // another process holds the data directory or the port
  'unsupported', // known, but not done by this version
  'conflict', // the state does not allow it now
  'unavailable', // try again later
  'timeout', // the peer or the disk took too long
  'internal', // a bug
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]

/** An operating error: expected, handled, shown to the caller. Bugs are `assert` failures instead. */
export class StoreError extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'StoreError'
    this.code = code
  }
}

/** Turns anything thrown into a StoreError; unknown errors become `internal` and keep their cause. */
export function toStoreError(error: unknown): StoreError {
  if (error instanceof StoreError) return error
  const errno = (error as NodeJS.ErrnoException | undefined)?.code
  const message = error instanceof Error ? error.message : String(error)
  if (errno === 'ENOSPC' || errno === 'EDQUOT') return new StoreError('disk_full', message, { cause: error })
  if (errno !== undefined && /^E[A-Z0-9]+$/.test(errno))
    return new StoreError('io_error', message, { cause: error })
  return new StoreError('internal', message, { cause: error })
}
