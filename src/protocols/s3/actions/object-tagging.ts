/** GetObjectTagging, PutObjectTagging and DeleteObjectTagging. */
import { OBJECT_TAGS_MAX } from '../../../base/limits.ts'
import type { Outcome } from '../../../net/reply.ts'
import type { Tag } from '../../../objects/object-store.ts'
import { versionIdOf } from '../read-options.ts'
import { versionHeaders } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { parseTagging, renderTagging } from '../tags.ts'
import { XML_HEADERS, xmlDocument } from '../xml-writer.ts'

export function getObjectTagging({ found }: S3Context): Outcome {
  const headers = [...XML_HEADERS, ...versionHeaders(found)]
  return { status: 200, headers, body: xmlDocument('Tagging', renderTagging(found.info.tags)) }
}

export async function putObjectTagging(context: S3Context): Promise<Outcome> {
  const { tags } = await context.readAllowed(async () => {
    const root = await context.readXml('Tagging')
    return { tags: parseTagging(root, { countMax: OBJECT_TAGS_MAX, of: 'Object' }) }
  })
  await setTags(context, tags)
  return { status: 200, headers: versionHeaders(context.found), body: undefined }
}

export async function deleteObjectTagging(context: S3Context): Promise<Outcome> {
  await setTags(context, [])
  return { status: 204, headers: versionHeaders(context.found), body: undefined }
}

async function setTags({ objects, bucket, key, request }: S3Context, tags: readonly Tag[]): Promise<void> {
  await objects.setTags({ bucket, key, versionId: versionIdOf(request) }, tags)
}
