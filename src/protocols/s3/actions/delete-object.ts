/** DeleteObject: a delete marker where versions are kept, and the end of a version that is named. */
import { StoreError } from '../../../base/errors.ts'
import type { Outcome } from '../../../net/reply.ts'
import type { Conditions, DeleteRequest, DeleteResult } from '../../../objects/object-store.ts'
import { parseDateMs, parseEtags } from '../header-values.ts'
import { withCondition } from '../object-conditions.ts'
import { versionIdOf } from '../read-options.ts'
import type { S3Context } from '../s3-context.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'
import type { S3Request } from '../s3-request.ts'

export async function deleteObject(context: S3Context): Promise<Outcome> {
  const { request, bucket, key, objects } = context
  const versionId = deletedVersion(request)
  if (versionId === NO_VERSION)
    return { status: 204, headers: ['x-amz-version-id', request.param('versionId')!], body: undefined }
  const conditions = deleteConditions(request)
  const bypassGovernance = bypassesGovernance(request)
  const deleting = { bucket, key, versionId, conditions, bypassGovernance }
  const result = await objects.delete(deleting).catch((error) => goneBefore(error, deleting))
  const headers: string[] = []
  if (result.isDeleteMarker) headers.push('x-amz-delete-marker', 'true')
  const isTold = bucket.versioning !== 'off' || versionId !== undefined
  if (isTold && result.versionId !== undefined) headers.push('x-amz-version-id', result.versionId)
  return { status: 204, headers, body: undefined }
}

const NO_VERSION = Symbol('no version')

/** An id that no version here can have is of one that is deleted already. */
function deletedVersion(request: S3Request): string | undefined | typeof NO_VERSION {
  try {
    return versionIdOf(request)
  } catch (error) {
    if (error instanceof S3Error && error.code === 'NoSuchVersion') return NO_VERSION
    throw error
  }
}

/** A version that is not there is deleted already: who asks twice is told the same twice. */
export function goneBefore(error: unknown, { versionId, conditions }: DeleteRequest): DeleteResult {
  if (error instanceof StoreError && error.code === 'version_not_found')
    return { versionId, isDeleteMarker: false }
  throw withCondition(error, conditions)
}

/** Whether the request wants it; the route has asked whether the caller may. */
export function bypassesGovernance(request: S3Request): boolean {
  return request.header('x-amz-bypass-governance-retention')?.toLowerCase() === 'true'
}

function deleteConditions(request: S3Request): Conditions | undefined {
  const ifMatch = request.header('if-match')
  const modified = request.header('x-amz-if-match-last-modified-time')
  const size = request.header('x-amz-if-match-size')
  if (ifMatch === undefined && modified === undefined && size === undefined) return undefined
  const conditions: Conditions = {}
  if (ifMatch !== undefined) conditions.ifMatch = parseEtags(ifMatch)
  if (modified !== undefined) {
    const ms = parseDateMs(modified)
    if (ms === undefined) throw invalidArgument('Invalid time', 'x-amz-if-match-last-modified-time', modified)
    conditions.ifModifiedMs = ms
  }
  if (size !== undefined) {
    if (!/^[0-9]{1,15}$/.test(size)) throw invalidArgument('Invalid size', 'x-amz-if-match-size', size)
    conditions.ifSizeBytes = Number(size)
  }
  return conditions
}
