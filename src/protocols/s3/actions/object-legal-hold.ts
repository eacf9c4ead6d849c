/** GetObjectLegalHold and PutObjectLegalHold: a version cannot be removed until it is taken off again. */
import type { Outcome } from '../../../net/reply.ts'
import type { ObjectLock } from '../../../objects/object-store.ts'
import { assertLockable } from '../object-headers.ts'
import { versionIdOf } from '../read-options.ts'
import { versionHeaders, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { S3Error } from '../s3-error.ts'
import { tag } from '../xml-writer.ts'

export function getObjectLegalHold({ bucket, found }: S3Context): Outcome {
  assertLockable(bucket)
  const { legalHold } = found.info.lock
  if (legalHold === undefined) throw new S3Error('NoSuchObjectLockConfiguration')
  return xmlOutcome('LegalHold', tag('Status', legalHold ? 'ON' : 'OFF'))
}

export async function putObjectLegalHold(context: S3Context): Promise<Outcome> {
  const { bucket, found, key, objects, request } = context
  const { lock } = await context.readAllowed(async () => ({ lock: await readLegalHold(context) }))
  const at = { bucket, key, versionId: versionIdOf(request) }
  await objects.setLock(at, lock, { bypassGovernance: false })
  return { status: 200, headers: versionHeaders(found), body: undefined }
}

/** What the document says. Throws MalformedXML, InvalidRequest in a bucket without locks. */
export async function readLegalHold(context: S3Context): Promise<ObjectLock> {
  const root = await context.readXml('LegalHold', { fault: 'MalformedXML' })
  const status = root.word('Status', ['ON', 'OFF'])
  root.done()
  assertLockable(context.bucket)
  return { legalHold: status === 'ON' }
}
