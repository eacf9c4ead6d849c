/** Conditions of requests on objects: of reads, judged here; of writes, handed to the store, which judges them as it writes. */
import { StoreError } from '../../base/errors.ts'
import type { Conditions, ObjectInfo } from '../../objects/object-store.ts'
import { type HeaderView, parseDateMs, parseEtags } from './header-values.ts'
import { S3Error } from './s3-error.ts'

const MS_PER_S = 1_000
const seconds = (ms: number) => Math.floor(ms / MS_PER_S)

/** What a read is answered with instead of the object. A matching ETag outweighs a date. Throws PreconditionFailed. */
export function isNotModified(view: HeaderView, { etag, modifiedMs }: ObjectInfo): boolean {
  const ifMatch = view.header('if-match')
  const ifNoneMatch = view.header('if-none-match')
  if (ifMatch !== undefined) {
    if (!hasEtag(ifMatch, etag)) throw conditionFailed('If-Match')
  } else {
    const since = dateOf(view, 'if-unmodified-since')
    if (since !== undefined && seconds(modifiedMs) > seconds(since))
      throw conditionFailed('If-Unmodified-Since')
  }
  if (ifNoneMatch !== undefined) return hasEtag(ifNoneMatch, etag)
  const since = dateOf(view, 'if-modified-since')
  return since !== undefined && seconds(modifiedMs) <= seconds(since)
}

function hasEtag(header: string, etag: string): boolean {
  const tags = parseEtags(header)
  return tags === '*' || tags.includes(etag)
}

function dateOf(view: HeaderView, name: string): number | undefined {
  const text = view.header(name)
  return text === undefined ? undefined : parseDateMs(text)
}

export function conditionFailed(condition: string): S3Error {
  return new S3Error('PreconditionFailed', undefined, { extra: { Condition: condition } })
}

/** `If-Match` and `If-None-Match` of a write. */
export function writeConditions(view: HeaderView): Conditions | undefined {
  const ifMatch = view.header('if-match')
  const ifNoneMatch = view.header('if-none-match')
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined
  if (ifMatch !== undefined && ifNoneMatch !== undefined) throw new S3Error('NotImplemented')
  return ifMatch === undefined ? { ifNoneMatch: parseEtags(ifNoneMatch!) } : { ifMatch: parseEtags(ifMatch) }
}

/** Conditions on the source of a copy. */
export function sourceConditions(view: HeaderView): Conditions | undefined {
  const conditions: Conditions = {}
  const ifMatch = view.header('x-amz-copy-source-if-match')
  if (ifMatch !== undefined) conditions.ifMatch = parseEtags(ifMatch)
  const ifNoneMatch = view.header('x-amz-copy-source-if-none-match')
  if (ifNoneMatch !== undefined) conditions.ifNoneMatch = parseEtags(ifNoneMatch)
  const modified = dateOf(view, 'x-amz-copy-source-if-modified-since')
  if (modified !== undefined) conditions.ifModifiedSinceMs = modified
  const unmodified = dateOf(view, 'x-amz-copy-source-if-unmodified-since')
  if (unmodified !== undefined) conditions.ifUnmodifiedSinceMs = unmodified
  return Object.keys(conditions).length === 0 ? undefined : conditions
}

/** What a write throws, with the condition that failed. */
export function withCondition(error: unknown, conditions: Conditions | undefined): unknown {
  const isFailed = error instanceof StoreError && error.code === 'precondition_failed'
  if (!isFailed || conditions === undefined) return error
  if (conditions.ifMatch !== undefined) return conditionFailed('If-Match')
  return conditions.ifNoneMatch === undefined ? error : conditionFailed('If-None-Match')
}
