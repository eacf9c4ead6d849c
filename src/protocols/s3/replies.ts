/** The usual shapes of S3's replies. */
import type { Outcome } from '../../net/reply.ts'
import type { Bucket, FoundObject } from '../../objects/object-store.ts'
import type { S3Context } from './s3-context.ts'
import { S3Error, type S3ErrorCode } from './s3-error.ts'
import { tag, wrap, XML_HEADERS, xmlDocument } from './xml-writer.ts'

/** A document with that root. */
export function xmlOutcome(root: string, xml: string): Outcome {
  return { status: 200, headers: [...XML_HEADERS], body: xmlDocument(root, xml) }
}

export function emptyOutcome(status: 200 | 204): Outcome {
  return { status, headers: [], body: undefined }
}

/** The version that a reply is about, where the bucket keeps some. */
export function versionHeaders({ info, isVersioned }: FoundObject): string[] {
  return isVersioned ? ['x-amz-version-id', info.versionId] : []
}

/** `<Owner>` or another element that names an account. */
export function ownerXml(context: S3Context, accountId: string, element = 'Owner'): string {
  const { canonicalId, displayName } = context.identities.ownerOf(accountId)
  return wrap(element, tag('ID', canonicalId) + tag('DisplayName', displayName))
}

type ConfigName = Parameters<Bucket['configs']['get']>[0]

/** A document of the bucket, or the error that it has none. */
export function configOf(bucket: Bucket, name: ConfigName, missing: S3ErrorCode): string {
  const text = bucket.configs.get(name)
  if (text === undefined) throw new S3Error(missing)
  return text
}

/** Sets a document of the bucket, or removes it. */
export async function setConfig(context: S3Context, name: ConfigName, text: string | null): Promise<void> {
  await context.objects.changeBucket(context.bucket, { configs: { [name]: text } })
}
