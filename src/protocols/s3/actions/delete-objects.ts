/** DeleteObjects: up to a thousand keys in one document. Each is allowed or not, and deleted or not, for itself. */
import { DELETE_KEYS_MAX } from '../../../base/limits.ts'
import { neededActions } from '../../../iam/s3-operations.ts'
import type { Outcome } from '../../../net/reply.ts'
import type { Conditions, DeleteRequest, DeleteResult } from '../../../objects/object-store.ts'
import { rankOf } from '../../../objects/rows.ts'
import { toS3Error } from '../error-reply.ts'
import { parseDateMs, parseEtags } from '../header-values.ts'
import { assertKeyLength } from '../object-headers.ts'
import { xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { S3Error } from '../s3-error.ts'
import type { XmlNode } from '../xml-reader.ts'
import { optionalTag, tag, wrap } from '../xml-writer.ts'
import { bypassesGovernance, goneBefore } from './delete-object.ts'

/** Keys of 1 KiB, each byte of them a reference. */
const DOCUMENT_BYTES_MAX = 8 * 1024 * 1024

interface Asked {
  key: string
  versionId: string | undefined
  conditions: Conditions | undefined
}

type Answer = DeleteResult | Error

export async function deleteObjects(context: S3Context): Promise<Outcome> {
  const root = await context.readXml('Delete', { bytesMax: DOCUMENT_BYTES_MAX })
  const isQuiet = root.maybeBoolean('Quiet') ?? false
  const nodes = root.all('Object')
  root.done()
  if (nodes.length === 0 || nodes.length > DELETE_KEYS_MAX) throw root.malformed()
  const asked = nodes.map(parseObject)
  const answers = await deleteAllowed(context, asked)
  let xml = ''
  for (const [at, one] of asked.entries()) {
    const answer = answers[at]!
    if (answer instanceof Error) xml += errorXml(one, answer)
    else if (!isQuiet) xml += deletedXml(one, answer)
  }
  return xmlOutcome('DeleteResult', xml)
}

function parseObject(node: XmlNode): Asked {
  const key = node.string('Key')
  const versionId = node.maybeString('VersionId')
  const conditions: Conditions = {}
  const etag = node.maybeString('ETag')
  if (etag !== undefined) conditions.ifMatch = parseEtags(etag)
  const size = node.maybeCount('Size')
  if (size !== undefined) conditions.ifSizeBytes = size
  const modified = node.maybeString('LastModifiedTime')
  if (modified !== undefined) {
    const ms = parseDateMs(modified)
    if (ms === undefined) throw node.malformed()
    conditions.ifModifiedMs = ms
  }
  node.done()
  return {
    key,
    versionId: versionId === '' ? undefined : versionId,
    conditions: Object.keys(conditions).length === 0 ? undefined : conditions,
  }
}

async function deleteAllowed(context: S3Context, asked: readonly Asked[]): Promise<Answer[]> {
  const { bucket, objects, request } = context
  const bypassGovernance = bypassesGovernance(request)
  const requests: DeleteRequest[] = []
  const refusals = asked.map((one) => {
    try {
      checkOne(context, one, bypassGovernance)
    } catch (error) {
      return toS3Error(error)
    }
    requests.push({ bucket, ...one, bypassGovernance })
    return undefined
  })
  const done = requests.length === 0 ? [] : await objects.deleteMany(requests)
  let next = 0
  return refusals.map((refusal) => {
    if (refusal !== undefined) return refusal
    const answer = done[next]!
    const request = requests[next++]!
    return answer instanceof Error ? answerTo(answer, request) : answer
  })
}

function answerTo(error: Error, request: DeleteRequest): Answer {
  try {
    return goneBefore(error, request)
  } catch (refused) {
    return toS3Error(refused)
  }
}

function checkOne(
  context: S3Context,
  { key, versionId, conditions }: Asked,
  bypassGovernance: boolean,
): void {
  if (key === '') throw new S3Error('UserKeyMustBeSpecified')
  const { bucket } = context
  const comparesEtag = conditions?.ifMatch !== undefined && conditions.ifMatch !== '*'
  const facts = { version: versionId !== undefined, bypassGovernance, comparesEtag }
  for (const { action } of neededActions('DeleteObjects', facts))
    context.demand(action, { bucket, key, told: { versionId } })
  assertKeyLength(key)
  if (versionId !== undefined && versionId !== 'null' && rankOf(versionId) === undefined)
    throw new S3Error('NoSuchVersion')
}

function deletedXml({ key, versionId }: Asked, result: DeleteResult): string {
  const marker = result.isDeleteMarker
    ? tag('DeleteMarker', true) + optionalTag('DeleteMarkerVersionId', result.versionId)
    : ''
  return wrap('Deleted', tag('Key', key) + optionalTag('VersionId', versionId) + marker)
}

function errorXml({ key, versionId }: Asked, thrown: Error): string {
  const { code, message } = toS3Error(thrown)
  const version = optionalTag('VersionId', versionId)
  return wrap('Error', tag('Key', key) + version + tag('Code', code) + tag('Message', message))
}
