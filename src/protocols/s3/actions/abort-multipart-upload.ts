/** AbortMultipartUpload: the upload and all of its parts are gone. */
import type { Outcome } from '../../../net/reply.ts'
import { emptyOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { uploadOf } from './upload-part.ts'

export async function abortMultipartUpload(context: S3Context): Promise<Outcome> {
  await context.objects.abortUpload(uploadOf(context))
  return emptyOutcome(204)
}
