/** GetBucketRequestPayment and PutBucketRequestPayment. Nobody is charged here, so the bucket's owner always pays. */
import type { Outcome } from '../../../net/reply.ts'
import { emptyOutcome, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { S3Error } from '../s3-error.ts'
import { tag } from '../xml-writer.ts'

export function getBucketRequestPayment(): Outcome {
  return xmlOutcome('RequestPaymentConfiguration', tag('Payer', 'BucketOwner'))
}

export async function putBucketRequestPayment(context: S3Context): Promise<Outcome> {
  const root = await context.readXml('RequestPaymentConfiguration')
  const payer = root.word('Payer', ['BucketOwner', 'Requester'])
  root.done()
  if (payer === 'Requester') throw new S3Error('NotImplemented')
  return emptyOutcome(200)
}
