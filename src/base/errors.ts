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
  'bucket_not_found', // no such bucket
  'bucket_exists', // a bucket of that name exists; whose it is, the front door tells
  'bucket_not_empty', // a bucket with objects, versions or uploads in it is not removed
  'version_not_found', // the key has no such version
  'upload_not_found', // no such multipart upload, or it is completed or aborted
  'invalid_part', // a part that is listed was not uploaded, or with another ETag or checksum
  'invalid_part_order', // parts must be listed in rising order
  'part_too_small', // every part but the last has a least size
  'precondition_failed', // a condition of the request does not hold
  'method_not_allowed', // not for this kind of thing, such as reading a delete marker
  'object_locked', // retention or a legal hold forbids it
  'key_required', // the bytes are encrypted with a key that only their owner has, and it was not given
  'key_not_needed', // a key was given for bytes that are not encrypted with one
  'wrong_key', // they are encrypted with another key than the one that was given
  'quota_exceeded', // the bucket would become larger than it may
  'key_too_long', // an object key over its limit
  'digest_mismatch', // what arrived has another checksum than was announced
  'incomplete_body', // fewer bytes arrived than were announced
  'directory_exists', // a directory is where a file shall be, or is made twice
  'directory_not_empty', // a directory with files in it is removed only when that is asked for
  'corrupt', // stored bytes do not match their checksums
  'io_error', // the disk answered with an error
  'not_synced', // bytes were written, the disk could not make them last, and nothing names them
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
