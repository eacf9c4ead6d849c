/** GetObjectRetention and PutObjectRetention: until when a version cannot be removed. */
import type { Outcome } from '../../../net/reply.ts'
import type { ObjectLock } from '../../../objects/object-store.ts'
import { assertLockable, retainUntil } from '../object-headers.ts'
import { versionIdOf } from '../read-options.ts'
import { versionHeaders, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { S3Error } from '../s3-error.ts'
import { isoTime, tag } from '../xml-writer.ts'
import { bypassesGovernance } from './delete-object.ts'

export function getObjectRetention({ bucket, found }: S3Context): Outcome {
  assertLockable(bucket)
  const { mode, untilMs } = found.info.lock
  if (mode === undefined) throw new S3Error('NoSuchObjectLockConfiguration')
  return xmlOutcome('Retention', tag('Mode', mode) + tag('RetainUntilDate', isoTime(untilMs!)))
}

export async function putObjectRetention(context: S3Context): Promise<Outcome> {
  const { bucket, found, key, objects, request } = context
  const { lock } = await context.readAllowed(async () => ({ lock: await readRetention(context) }))
  const at = { bucket, key, versionId: versionIdOf(request) }
  await objects.setLock(at, lock, { bypassGovernance: bypassesGovernance(request) })
  return { status: 200, headers: versionHeaders(found), body: undefined }
}

/** What the document says. Throws MalformedXML, InvalidArgument, InvalidRequest in a bucket without locks. */
export async function readRetention(context: S3Context): Promise<ObjectLock> {
  const root = await context.readXml('Retention', { fault: 'MalformedXML' })
  const mode = root.maybeWord('Mode', ['GOVERNANCE', 'COMPLIANCE'])
  const until = root.maybeString('RetainUntilDate')
  root.done()
  if ((mode === undefined) !== (until === undefined)) throw root.malformed()
  const untilMs = until === undefined ? undefined : retainUntil(until.trim(), context.services.clock.nowMs())
  assertLockable(context.bucket)
  return mode === undefined ? {} : { mode, untilMs: untilMs! }
}
