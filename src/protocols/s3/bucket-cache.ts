/** What is read out of a bucket's documents, kept for as long as the bucket stays as it is. */
import { BUCKETS_READ_MAX } from '../../base/limits.ts'
import type { Bucket } from '../../objects/object-store.ts'

export class BucketCache<T> {
  readonly #read: (bucket: Bucket) => T
  readonly #known = new Map<number, { revision: number; value: T }>()

  constructor(read: (bucket: Bucket) => T) {
    this.#read = read
  }

  of(bucket: Bucket): T {
    const known = this.#known.get(bucket.id)
    if (known?.revision === bucket.revision) return known.value
    const value = this.#read(bucket)
    if (this.#known.size >= BUCKETS_READ_MAX) this.#known.clear()
    this.#known.set(bucket.id, { revision: bucket.revision, value })
    return value
  }
}
