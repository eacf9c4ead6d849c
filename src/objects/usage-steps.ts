/** Counters of buckets. Each write changes one part of them, chosen by its caller, so that writers need not meet. */
import { StoreError } from '../base/errors.ts'
import { query, type Steps } from '../meta/meta-store.ts'

/** Parts of a bucket's counters where several processes write. */
export const USAGE_PARTS_SHARED = 16

export interface UsageChange {
  bucketId: number
  part: number
  objects: number
  bytes: number
}

export function* addUsage(change: UsageChange): Steps<void> {
  if (change.objects === 0 && change.bytes === 0) return
  yield query(
    `insert into bucket_usage (bucket_id, part, objects, bytes) values (?, ?, ?, ?)
     on conflict (bucket_id, part) do update
     set objects = bucket_usage.objects + excluded.objects, bytes = bucket_usage.bytes + excluded.bytes`,
    change.bucketId,
    change.part,
    change.objects,
    change.bytes,
  )
}

export function* usageOf(bucketId: number): Steps<{ objects: number; bytes: number }> {
  const [sums] = yield query(
    `select coalesce(sum(objects), 0) as objects, coalesce(sum(bytes), 0) as bytes
     from bucket_usage where bucket_id = ?`,
    bucketId,
  )
  return { objects: sums!.objects as number, bytes: sums!.bytes as number }
}

/** Throws `quota_exceeded` when the bucket would hold more than it may. */
export function* checkQuota(bucketId: number, quotaBytes: number, addedBytes: number): Steps<void> {
  if (quotaBytes === 0 || addedBytes <= 0) return
  const { bytes } = yield* usageOf(bucketId)
  if (bytes + addedBytes > quotaBytes)
    throw new StoreError('quota_exceeded', `the bucket may hold ${quotaBytes} bytes`)
}
