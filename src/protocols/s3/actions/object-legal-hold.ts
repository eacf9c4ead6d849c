/** GetObjectLegalHold and PutObjectLegalHold: a version cannot be removed until it is taken off again. */
import type { Outcome } from '../../../net/reply.ts'
import { assertLockable } from '../object-headers.ts'
import { versionIdOf } from '../read-options.ts'
import { versionHeaders, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { tag } from '../xml-writer.ts'

export function getObjectLegalHold({ bucket, found }: S3Context): Outcome {
  assertLockable(bucket)
  return xmlOutcome('LegalHold', tag('Status', found.info.lock.legalHold === true ? 'ON' : 'OFF'))
}

export async function putObjectLegalHold(context: S3Context): Promise<Outcome> {
  const { bucket, found, key, objects, request } = context
  const { lock } = await context.readAllowed(async () => {
    assertLockable(bucket)
    const root = await context.readXml('LegalHold')
    const status = root.word('Status', ['ON', 'OFF'])
    root.done()
    return { lock: { legalHold: status === 'ON' } }
  })
  const at = { bucket, key, versionId: versionIdOf(request) }
  await objects.setLock(at, lock, { bypassGovernance: false })
  return { status: 200, headers: versionHeaders(found), body: undefined }
}
