/** Which version of an object a request means, and what is said of one that is a delete marker. */
import { formatHttpDate } from '../../net/conditional.ts'
import type { FoundObject, ReadOptions } from '../../objects/object-store.ts'
import { rankOf } from '../../objects/rows.ts'
import { partNumber } from './object-range.ts'
import { invalidArgument, S3Error } from './s3-error.ts'
import type { S3Request } from './s3-request.ts'

/** Throws InvalidArgument for a version id that is none. */
export function readOptionsOf(request: S3Request): ReadOptions {
  const versionId = versionIdOf(request)
  if (request.params.length > 0) assertPartNumber(request)
  const key = request.header('x-amz-server-side-encryption-customer-key')
  if (key !== undefined) return { versionId, customerKey: Buffer.from(key, 'base64') }
  return versionId === undefined ? NO_OPTIONS : { versionId }
}

const NO_OPTIONS: ReadOptions = {}

const LOCKS = ['retention', 'legal-hold']

/** The version that the request names; undefined: the latest. */
export function versionIdOf(request: S3Request): string | undefined {
  if (request.params.length === 0) return undefined
  const versionId = request.param('versionId')
  if (versionId === '') {
    // Programs in Go name a version so that they do not have, when they ask for locks.
    if (LOCKS.some((sub) => request.param(sub) !== undefined)) return undefined
    throw invalidArgument('Version id cannot be the empty string', 'versionId', '')
  }
  if (versionId !== undefined && versionId !== 'null' && rankOf(versionId) === undefined)
    throw unknownVersion(versionId, request.key)
  return versionId
}

/** As long as ids of versions are, here and elsewhere. */
const VERSION_LIKE = /^[A-Za-z0-9._-]{26,64}$/

/** For an id that no version has: it may be one of another store, or none at all. */
export function unknownVersion(versionId: string, key: string): S3Error {
  return VERSION_LIKE.test(versionId)
    ? new S3Error('NoSuchVersion', undefined, { extra: { Key: key, VersionId: versionId } })
    : invalidArgument('Invalid version id specified', 'versionId', versionId)
}

/** A wrong one is told before it is known whether there is an object. */
function assertPartNumber(request: S3Request): void {
  const text = request.param('partNumber')
  if (text !== undefined) partNumber(text)
}

/** A key whose latest version is a delete marker is not there; a marker that is asked for by its id can only be deleted. */
export function deletedError(found: FoundObject | undefined, request: S3Request): S3Error | undefined {
  if (found === undefined || !found.info.isDeleteMarker) return undefined
  const { versionId, modifiedMs } = found.info
  const headers = ['x-amz-delete-marker', 'true', 'x-amz-version-id', versionId]
  const isNamed = request.filledParam('versionId') !== undefined && request.param('attributes') === undefined
  if (!isNamed) return new S3Error('NoSuchKey', undefined, { headers })
  headers.push('Allow', 'DELETE', 'Last-Modified', formatHttpDate(Math.floor(modifiedMs / 1_000)))
  const extra = { Method: request.method, ResourceType: 'DeleteMarker' }
  return new S3Error('MethodNotAllowed', undefined, { headers, extra })
}
