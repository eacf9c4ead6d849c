/** Conditions of requests, on what a key has now. */
import { StoreError } from '../base/errors.ts'
import type { Conditions } from './object-store.ts'

/** The present object, or what is known of a version. */
export interface Present {
  etag: string
  size: number
  modified_ms: number
}

const MS_PER_S = 1000
/** HTTP dates have whole seconds. */
const seconds = (ms: number) => Math.floor(ms / MS_PER_S)

const failed = (text: string) => new StoreError('precondition_failed', text)

function matches(tags: readonly string[] | '*', etag: string): boolean {
  return tags === '*' || tags.includes(etag) || tags.includes('*')
}

/** For writes: throws `not_found` where `ifMatch` has nothing to match, `precondition_failed`. */
export function checkWrite(conditions: Conditions | undefined, present: Present | undefined): void {
  if (conditions === undefined) return
  if (present === undefined) {
    if (conditions.ifMatch !== undefined) throw new StoreError('not_found', 'there is no object to match')
    return
  }
  checkPresent(conditions, present)
}

/** For deletes: nothing there is nothing to protect. */
export function checkDelete(conditions: Conditions | undefined, present: Present | undefined): void {
  if (conditions === undefined || present === undefined) return
  checkPresent(conditions, present)
}

/** For sources of copies. A matching ETag outweighs the date, as for reads. Throws `precondition_failed`. */
export function checkPresent(conditions: Conditions, present: Present): void {
  const { ifMatch, ifNoneMatch, ifModifiedSinceMs, ifUnmodifiedSinceMs } = conditions
  if (ifMatch !== undefined && !matches(ifMatch, present.etag))
    throw failed('If-Match: the object has another ETag')
  if (ifNoneMatch !== undefined && matches(ifNoneMatch, present.etag))
    throw failed('If-None-Match: the object has such an ETag')
  if (ifMatch === undefined && ifUnmodifiedSinceMs !== undefined)
    if (seconds(present.modified_ms) > seconds(ifUnmodifiedSinceMs))
      throw failed('the object was modified since')
  if (ifNoneMatch === undefined && ifModifiedSinceMs !== undefined)
    if (seconds(present.modified_ms) <= seconds(ifModifiedSinceMs))
      throw failed('the object was not modified since')
  if (conditions.ifSizeBytes !== undefined && present.size !== conditions.ifSizeBytes)
    throw failed('the object has another size')
  if (
    conditions.ifModifiedMs !== undefined &&
    seconds(present.modified_ms) !== seconds(conditions.ifModifiedMs)
  )
    throw failed('the object was modified at another time')
}
