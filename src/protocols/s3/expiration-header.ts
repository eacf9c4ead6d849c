/** `x-amz-expiration`: when the bucket's lifecycle rules will be rid of an object, and which of them. */
import { DAY_MS, expiryOf, type LifecycleRule } from '../../objects/lifecycle-rules.ts'
import type { Bucket, ObjectInfo } from '../../objects/object-store.ts'
import { BucketCache } from './bucket-cache.ts'

export class ExpirationHeader {
  readonly #rules = new BucketCache(rulesOf)

  /** Adds it where a rule matches. */
  add(
    headers: string[],
    bucket: Bucket,
    info: Pick<ObjectInfo, 'key' | 'sizeBytes' | 'modifiedMs' | 'tags'>,
  ): void {
    if (!bucket.configs.has('lifecycle')) return
    const expiry = expiryOf(this.#rules.of(bucket), info, DAY_MS)
    if (expiry === undefined) return
    const date = new Date(expiry.atMs).toUTCString()
    headers.push('x-amz-expiration', `expiry-date="${date}", rule-id="${encodeURIComponent(expiry.ruleId)}"`)
  }
}

function rulesOf({ configs }: Bucket): readonly LifecycleRule[] {
  return JSON.parse(configs.get('lifecycle') ?? '[]') as LifecycleRule[]
}
