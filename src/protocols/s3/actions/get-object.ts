/** GetObject: the bytes of an object, a range or a part of them. */
import type { Outcome } from '../../../net/reply.ts'
import { objectHead, withBytes } from '../object-reply.ts'
import type { S3Context } from '../s3-context.ts'

export function getObject(context: S3Context): Outcome | Promise<Outcome> {
  const head = objectHead(context)
  if (head.status === 304) return { status: 304, headers: head.headers, body: undefined }
  return withBytes(context.found, head)
}
