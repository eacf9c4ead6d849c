/** UploadPartCopy: a part with bytes of an object that is there. */

import type { ByteRange } from '../../../net/ranges.ts'
import type { Outcome } from '../../../net/reply.ts'
import { findCopySource, sourceVersionHeaders } from '../copy-source.ts'
import { customerKeyOf, encryptionHeaders } from '../encryption-headers.ts'
import { sourceConditions, withCondition } from '../object-conditions.ts'
import { partNumber } from '../object-range.ts'
import type { S3Context } from '../s3-context.ts'
import { invalidArgument } from '../s3-error.ts'
import { isoTime, tag, XML_HEADERS, xmlDocument } from '../xml-writer.ts'
import { assertCopySize } from './copy-object.ts'
import { partError, uploadOf } from './upload-part.ts'

const HEADER = 'x-amz-copy-source-range'

export async function uploadPartCopy(context: S3Context): Promise<Outcome> {
  const { request, objects } = context
  const customerKey = customerKeyOf(context, { isRead: false })
  const number = partNumber(request.param('partNumber'))
  const asked = parseRange(request.header(HEADER))
  const source = await findCopySource(context)
  const { sizeBytes } = source.info
  const range = asked === undefined ? undefined : within(asked, sizeBytes)
  assertCopySize(range === undefined ? sizeBytes : range.end - range.start)
  const conditions = sourceConditions(request)
  const part = await objects
    .copyPart({
      ...uploadOf(context),
      ...{ number, range, source: { ...source, conditions } },
      ...(customerKey && { customerKey }),
    })
    .catch((error) => {
      throw withCondition(partError(error), conditions)
    })
  const { checksum } = part
  const xml =
    tag('LastModified', isoTime(part.modifiedMs)) +
    tag('ETag', `"${part.etag}"`) +
    (checksum === undefined ? '' : tag(`Checksum${checksum.algorithm}`, checksum.value))
  const headers = [...XML_HEADERS, ...sourceVersionHeaders(source)]
  headers.push(...encryptionHeaders(part.encryption, request))
  return { status: 200, headers, body: xmlDocument('CopyPartResult', xml) }
}

/** Both ends must be there, and nothing else. */
function parseRange(text: string | undefined): ByteRange | undefined {
  if (text === undefined) return undefined
  const match = /^bytes=([0-9]{1,15})-([0-9]{1,15})$/.exec(text)
  const start = Number(match?.[1])
  const last = Number(match?.[2])
  if (match !== null && start <= last) return { start, end: last + 1 }
  const message =
    'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy'
  throw invalidArgument(message, HEADER, text)
}

function within(range: ByteRange, sizeBytes: number): ByteRange {
  if (range.end <= sizeBytes) return range
  const text = `bytes=${range.start}-${range.end - 1}`
  throw invalidArgument(`Range specified is not valid for source object of size: ${sizeBytes}`, HEADER, text)
}
