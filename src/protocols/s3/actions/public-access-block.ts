/** GetPublicAccessBlock, PutPublicAccessBlock and DeletePublicAccessBlock. */
import type { PublicAccessBlock } from '../../../iam/authorize.ts'
import type { Outcome } from '../../../net/reply.ts'
import { configOf, emptyOutcome, setConfig, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { tag } from '../xml-writer.ts'

export function getPublicAccessBlock({ bucket }: S3Context): Outcome {
  const text = configOf(bucket, 'public_access_block', 'NoSuchPublicAccessBlockConfiguration')
  const block = JSON.parse(text) as PublicAccessBlock
  return xmlOutcome(
    'PublicAccessBlockConfiguration',
    tag('BlockPublicAcls', block.blockPublicAcls) +
      tag('IgnorePublicAcls', block.ignorePublicAcls) +
      tag('BlockPublicPolicy', block.blockPublicPolicy) +
      tag('RestrictPublicBuckets', block.restrictPublicBuckets),
  )
}

export async function putPublicAccessBlock(context: S3Context): Promise<Outcome> {
  const root = await context.readXml('PublicAccessBlockConfiguration')
  const block: PublicAccessBlock = {
    blockPublicAcls: root.maybeBoolean('BlockPublicAcls') ?? false,
    ignorePublicAcls: root.maybeBoolean('IgnorePublicAcls') ?? false,
    blockPublicPolicy: root.maybeBoolean('BlockPublicPolicy') ?? false,
    restrictPublicBuckets: root.maybeBoolean('RestrictPublicBuckets') ?? false,
  }
  root.done()
  await setConfig(context, 'public_access_block', JSON.stringify(block))
  return emptyOutcome(200)
}

export async function deletePublicAccessBlock(context: S3Context): Promise<Outcome> {
  await setConfig(context, 'public_access_block', null)
  return emptyOutcome(204)
}
