/** HeadObject: what GetObject answers, without the bytes. */
import type { Outcome } from '../../../net/reply.ts'
import { objectHead } from '../object-reply.ts'
import type { S3Context } from '../s3-context.ts'

export function headObject(context: S3Context): Outcome {
  const { status, headers, start, end } = objectHead(context)
  return { status, headers, body: undefined, sizeBytes: end - start }
}
