/**
 * PostObject: a browser's form. Its fields say what headers say elsewhere, who signed its policy may put the object, and
 * the file is stored as it comes.
 */
import { StoreError } from '../../../base/errors.ts'
import { OBJECT_TAGS_MAX, PART_BYTES_MAX, POST_FIELDS_BYTES_MAX } from '../../../base/limits.ts'
import { neededActions, type OperationFacts } from '../../../iam/s3-operations.ts'
import { type FieldsForm, openFieldsForm } from '../../../net/form-stream.ts'
import { formBoundary } from '../../../net/multipart.ts'
import type { Outcome } from '../../../net/reply.ts'
import type { BodyCheck, ObjectBody, PutResult, Tag } from '../../../objects/object-store.ts'
import { assertFormLength, type LengthRange } from '../auth/post-policy.ts'
import { addChecksum } from '../digest-headers.ts'
import { encryptionHeaders } from '../encryption-headers.ts'
import type { AuthenticatedForm } from '../gate.ts'
import type { HeaderView } from '../header-values.ts'
import { assertKeyLength, newObject } from '../object-headers.ts'
import { locationOf } from '../object-location.ts'
import type { S3Context } from '../s3-context.ts'
import { S3Error } from '../s3-error.ts'
import { parseTagging } from '../tags.ts'
import { openUpload } from '../upload-body.ts'
import { parseXml } from '../xml-reader.ts'
import { tag, XML_DECLARATION, XML_HEADERS } from '../xml-writer.ts'
import { putWhole } from './put-object.ts'

export async function postObject(context: S3Context): Promise<Outcome> {
  const { request, services } = context
  const form = await openForm(context)
  const { fields: list, part } = form
  const filename = part.filename === undefined ? undefined : utf8(part.filename)
  const signed = services.gate.authenticateForm({ bucket: request.bucket, fields: list, filename })
  const { bucket } = context
  const { key, fields } = signed
  const tags = formTags(context, signed)
  assertMay(context, signed, tags)
  assertKeyLength(key)
  const view = new FieldsView(fields)
  const object = newObject(context, view, signed.principal.account?.id)
  if (tags !== undefined) object.tags = tags
  const { body, check } = openUpload(view, await fileBody(context, form, signed))
  const withRange = withLengthRange(check, signed.lengthRange)
  const result = await putWhole(context, { bucket, key, body, ...object, check: withRange })
  return replyOf(context, signed, result)
}

const utf8 = (bytes: string) => Buffer.from(bytes, 'latin1').toString('utf8')

// The form

async function openForm({ request, wireBody }: S3Context): Promise<FieldsForm> {
  try {
    const boundary = formBoundary(request.header('content-type') ?? '')
    if (boundary === undefined) throw new S3Error('MalformedPOSTRequest')
    return await openFieldsForm(wireBody.pieces(), boundary, { fieldsBytesMax: POST_FIELDS_BYTES_MAX })
  } catch (error) {
    throw formError(error)
  }
}

function formError(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error
  switch (error.code) {
    case 'bad_request':
      return new S3Error('MalformedPOSTRequest', undefined, { cause: error })
    case 'too_large':
      return new S3Error('MaxPostPreDataLengthExceeded', undefined, { cause: error })
    case 'not_found':
      return new S3Error('InvalidArgument', 'POST requires exactly one file upload per request.', {
        extra: { ArgumentName: 'file', ArgumentValue: '0' },
        cause: error,
      })
    default:
      return error
  }
}

/** Fields as the headers that they stand for. */
class FieldsView implements HeaderView {
  readonly rawHeaders: readonly string[]

  constructor(fields: ReadonlyMap<string, string>) {
    this.rawHeaders = [...fields].flatMap(([name, value]) => [
      name === 'acl' ? 'x-amz-acl' : name,
      Buffer.from(value).toString('latin1'),
    ])
  }

  header(lowerName: string): string | undefined {
    const at = this.rawHeaders.findIndex((name, i) => i % 2 === 0 && name === lowerName)
    return at < 0 ? undefined : this.rawHeaders[at + 1]
  }
}

/** Tags as a document in a field. What is wrong with it is told to those only who could send another. */
function formTags(context: S3Context, signed: AuthenticatedForm): Tag[] | undefined {
  const text = signed.fields.get('tagging')
  if (text === undefined) return undefined
  try {
    const root = parseXml(Buffer.from(text), 'Tagging')
    return parseTagging(root, { countMax: OBJECT_TAGS_MAX, of: 'Object' })
  } catch (error) {
    assertMay(context, signed, undefined)
    throw error
  }
}

function assertMay(
  { bucket, request, services }: S3Context,
  signed: AuthenticatedForm,
  tags: readonly Tag[] | undefined,
): void {
  const { key, fields } = signed
  const facts: OperationFacts = {
    acl: [...fields.keys()].some((name) => /^(acl|x-amz-acl|x-amz-grant-.*)$/.test(name)),
    tagging: fields.has('tagging') || fields.has('x-amz-tagging'),
    retention: fields.has('x-amz-object-lock-mode') || fields.has('x-amz-object-lock-retain-until-date'),
    legalHold: fields.has('x-amz-object-lock-legal-hold'),
  }
  for (const { action } of neededActions('PostObject', facts)) {
    const question = { action, bucketName: bucket.name, bucket, key, request, told: tags ? { tags } : {} }
    if (!services.gate.allows(signed, question)) throw new S3Error('AccessDenied')
  }
}

// The file

/** A short file is gathered, so that it is stored in one step. */
async function fileBody(
  { wireBody }: S3Context,
  form: FieldsForm,
  { lengthRange }: AuthenticatedForm,
): Promise<ObjectBody> {
  const bytesMax = Math.min(lengthRange?.bytesMax ?? PART_BYTES_MAX, PART_BYTES_MAX)
  const pieces = () => boundedPieces(form.data, { bytesMax, lengthRange })
  if (wireBody.whole === undefined) return { sizeBytes: undefined, pieces }
  const whole = Buffer.concat(await Array.fromAsync(pieces()))
  return { sizeBytes: whole.length, whole, pieces }
}

async function* boundedPieces(
  data: AsyncIterable<Buffer>,
  { bytesMax, lengthRange }: { bytesMax: number; lengthRange: LengthRange | undefined },
): AsyncGenerator<Buffer> {
  let sizeBytes = 0
  try {
    for await (const piece of data) {
      sizeBytes += piece.length
      if (sizeBytes > bytesMax) {
        assertFormLength(lengthRange, sizeBytes)
        throw new S3Error('EntityTooLarge')
      }
      yield piece
    }
  } catch (error) {
    throw formError(error)
  }
}

function withLengthRange(check: BodyCheck, range: LengthRange | undefined): BodyCheck {
  return {
    digests: check.digests,
    verify(digests, sizeBytes) {
      assertFormLength(range, sizeBytes)
      return check.verify(digests, sizeBytes)
    },
  }
}

// The reply

function replyOf(
  { request, bucket }: S3Context,
  { key, fields }: AuthenticatedForm,
  result: PutResult,
): Outcome {
  const etag = `"${result.etag}"`
  const location = locationOf(request, bucket.name, key)
  const headers = ['ETag', etag]
  if (result.isVersioned) headers.push('x-amz-version-id', result.versionId)
  headers.push(...encryptionHeaders(result.encryption, new FieldsView(fields)))
  addChecksum(headers, result.checksum)
  const redirect = redirectOf(fields, { bucket: bucket.name, key, etag })
  if (redirect !== undefined) return { status: 303, headers: [...headers, 'Location', redirect], body: '' }
  headers.push('Location', location)
  const status = fields.get('success_action_status')
  if (status === '200') return { status: 200, headers, body: '' }
  if (status !== '201') return { status: 204, headers, body: undefined }
  const xml = tag('Location', location) + tag('Bucket', bucket.name) + tag('Key', key) + tag('ETag', etag)
  const body = Buffer.from(`${XML_DECLARATION}<PostResponse>${xml}</PostResponse>`)
  return { status: 201, headers: [...XML_HEADERS, ...headers], body }
}

/** Where the browser is sent on; undefined: nowhere, or to what is no address. */
function redirectOf(
  fields: ReadonlyMap<string, string>,
  told: { bucket: string; key: string; etag: string },
): string | undefined {
  const text = fields.get('success_action_redirect') ?? fields.get('redirect')
  if (text === undefined || !URL.canParse(text)) return undefined
  const url = new URL(text)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined
  const query = Object.entries(told).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
  url.search = `${url.search === '' ? '?' : `${url.search}&`}${query.join('&')}`
  return url.href
}
