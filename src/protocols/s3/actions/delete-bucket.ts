/** DeleteBucket: only when nothing is in it, no version either. Unfinished uploads go with it. */
import { StoreError } from '../../../base/errors.ts'
import type { Outcome } from '../../../net/reply.ts'
import { emptyOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { S3_ERRORS, S3Error } from '../s3-error.ts'

export async function deleteBucket({ objects, bucket }: S3Context): Promise<Outcome> {
  try {
    await objects.deleteBucket(bucket)
  } catch (error) {
    const isFull = error instanceof StoreError && error.code === 'bucket_not_empty'
    if (!isFull || bucket.versioning === 'off') throw error
    const message = `${S3_ERRORS.BucketNotEmpty[1]}. You must delete all versions in the bucket.`
    throw new S3Error('BucketNotEmpty', message, { cause: error })
  }
  return emptyOutcome(204)
}
