/** DeleteBucket: only when nothing is in it, no version either. Unfinished uploads go with it. */
import type { Outcome } from '../../../net/reply.ts'
import { emptyOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'

export async function deleteBucket({ objects, bucket }: S3Context): Promise<Outcome> {
  await objects.deleteBucket(bucket)
  return emptyOutcome(204)
}
