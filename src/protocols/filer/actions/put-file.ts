/** PUT and POST: a file is stored, whole or at the end of what is there; or a directory is made. */
import { timingSafeEqual } from 'node:crypto'
import { StoreError } from '../../../base/errors.ts'
import { COLLECTION_BYTES_MAX } from '../../../base/limits.ts'
import { parseContentDisposition } from '../../../net/content-disposition.ts'
import { openFormStream } from '../../../net/form-stream.ts'
import { type FormPart, fileOfForm, formBoundary } from '../../../net/multipart.ts'
import { jsonOutcome, type Outcome } from '../../../net/reply.ts'
import type {
  BodyCheck,
  Bucket,
  ObjectAttributes,
  ObjectBody,
  PutObject,
} from '../../../objects/object-store.ts'
import { blobTtl, posixOfTtl } from '../../../objects/tree-life.ts'
import { bucketToWrite, type FilerContext, type FilerRequest, isTree } from './context.ts'
import { keptContentType, type UploadHeaders, uploadHeadersOf } from './file-headers.ts'
import { assertNamesFit, type FilerPath, nameOfKey, parentOfKey, uploadedName } from './filer-path.ts'
import { FILE_MODE_DEFAULT, SEARCHABLE } from './modes.ts'
import { writeAtOffset } from './put-range.ts'

/** Bytes of a request: all of them, or on their way. */
export type RequestBody = Buffer | { sizeBytes: number | undefined; pieces: AsyncIterable<Buffer> }

/** The file in a request. */
interface Upload {
  /** As the sender calls it; '' when it does not. */
  name: string
  contentType: string
  contentMd5: string
  body: ObjectBody
  isForm: boolean
}

const MD5_BYTES = 16

/** Throws what the store throws, and `bad_request`, `digest_mismatch`. */
export async function putFile(
  context: FilerContext,
  request: FilerRequest,
  body: RequestBody,
): Promise<Outcome> {
  const { path, query, method, rawHeaders } = request
  const headers = uploadHeadersOf(rawHeaders)
  const hasBody = Buffer.isBuffer(body) ? body.length > 0 : true
  if (method === 'POST' && path.endsWithSlash && headers.contentType === '' && !hasBody) {
    return makeDirectory(context, request)
  }
  const upload = await uploadOf(path, headers, body)
  const bucket = await bucketToWrite(context, path)
  const check = new Md5Check(upload.contentMd5)
  const put: PutObject = {
    ...{ bucket, key: targetKey(request, upload), body: upload.body, check },
    attributes: attributesOf(context, request, { headers, upload }),
    conditions: headers.conditions,
    placement: placementOf(request),
  }
  if (isTree(bucket)) await storeInTree(context, { request, upload, put })
  else await store(context, request, put)
  const name = upload.name === '' ? nameOfKey(put.key) : upload.name
  const outcome = jsonOutcome(201, withoutZero({ name, size: check.sizeBytes }), query.pretty)
  outcome.headers.push('Content-MD5', check.md5.toString('base64'))
  return outcome
}

function isPlainPut({ query }: FilerRequest): boolean {
  return query.text('op') !== 'append' && !query.has('offset')
}

async function store(context: FilerContext, request: FilerRequest, put: PutObject): Promise<void> {
  const { query } = request
  if (isPlainPut(request)) await context.objects.put(put)
  else if (query.text('op') === 'append') await context.objects.append(put)
  else await writeAtOffset(context, put, query.number('offset') ?? 0)
}

/** Where the path asks for the file. Throws `bad_request`, `key_too_long`. */
function targetKey({ path }: FilerRequest, upload: Upload): string {
  const isInside = path.endsWithSlash || path.key === ''
  if (isInside && upload.name === '')
    throw new StoreError('bad_request', 'a file stored under a path that ends with / needs a name')
  const key = isInside ? keyInside(path.key, upload) : path.key
  assertNamesFit(key)
  return key
}

function keyInside(directory: string, { name }: Upload): string {
  return directory === '' ? name : `${directory}/${name}`
}

interface Storing {
  request: FilerRequest
  upload: Upload
  put: PutObject
}

/**
 * Directories above the file are made, and a form sent to a directory goes into it. What is at the key is looked at by the
 * transaction that stores the file; only where the body comes by once is it asked for before.
 */
async function storeInTree(context: FilerContext, { request, upload, put }: Storing): Promise<void> {
  const { bucket, key } = put
  const { path, query } = request
  const goesInside = !path.endsWithSlash && upload.isForm && upload.name !== ''
  if (!query.flag('skipCheckParentDir')) await makeParents(context, bucket, { key, mode: query.mode() })
  put.fileOnly = true
  if (put.body.whole === undefined || !isPlainPut(request)) {
    const there = await context.objects.stat(bucket, key)
    if (there?.isDirectory) {
      put.key = goesInside ? keyInside(key, upload) : key
      const inside = goesInside ? await context.objects.stat(bucket, put.key) : there
      if (inside?.isDirectory) throw isDirectory(put.key)
      assertNamesFit(put.key)
    }
    await store(context, request, put)
    return
  }
  try {
    await context.objects.put(put)
  } catch (error) {
    if (!goesInside || !(error instanceof StoreError) || error.code !== 'directory_exists') throw error
    put.key = keyInside(key, upload)
    assertNamesFit(put.key)
    await context.objects.put(put)
  }
}

function isDirectory(key: string): StoreError {
  return new StoreError('directory_exists', `existing /${key} is a directory`)
}

/** What SeaweedFS leaves out where it is 0. */
function withoutZero(reply: { name: string; size: number }): object {
  return reply.size === 0 ? { name: reply.name } : reply
}

async function makeDirectory(context: FilerContext, request: FilerRequest): Promise<Outcome> {
  const { path, query } = request
  assertNamesFit(path.key)
  const exists = new StoreError('conflict', `dir ${path.display || '/'} already exists`)
  if (path.bucket === undefined) throw exists
  if (path.key === '' && path.bucket !== undefined) return makeBucket(context, request, exists)
  const bucket = await bucketToWrite(context, path)
  const posix = { mode: query.mode() ?? FILE_MODE_DEFAULT, ...lifeOf(context, query.ttl()) }
  try {
    await context.objects.makeDirectory(bucket, path.key, { posix })
  } catch (error) {
    throw error instanceof StoreError && error.code === 'directory_exists' ? exists : error
  }
  return jsonOutcome(201, { name: nameOfKey(path.key) }, query.pretty)
}

/** `POST /buckets/new/`. */
async function makeBucket(
  context: FilerContext,
  request: FilerRequest,
  exists: StoreError,
): Promise<Outcome> {
  const { path, query } = request
  if (path.display === '') throw exists
  try {
    await context.objects.createBucket({ name: path.bucket!, owner: context.owner })
  } catch (error) {
    throw error instanceof StoreError && error.code === 'bucket_exists' ? exists : error
  }
  return jsonOutcome(201, { name: path.bucket! }, query.pretty)
}

/** The file that a request brings. Throws `bad_request`, `too_large`. */
async function uploadOf(path: FilerPath, headers: UploadHeaders, body: RequestBody): Promise<Upload> {
  const boundary = formBoundary(headers.contentType)
  if (boundary === undefined) {
    const { contentMd5, contentType, contentDisposition } = headers
    // A path that names the file needs no other name for it.
    const name = path.endsWithSlash || path.key === '' ? rawName(contentDisposition) : ''
    return { name, contentType, contentMd5, body: objectBody(body), isForm: false }
  }
  if (Buffer.isBuffer(body)) {
    const part = fileOfForm(body, boundary)
    return formUpload(part, headers, objectBody(part.data))
  }
  const { part, data } = await openFormStream(body.pieces, boundary)
  return formUpload(part, headers, { sizeBytes: undefined, pieces: () => data })
}

function formUpload(part: FormPart, headers: UploadHeaders, body: ObjectBody): Upload {
  return {
    name: uploadedName(part.filename ?? ''),
    contentType: part.contentType ?? '',
    contentMd5: part.contentMd5 ?? headers.contentMd5,
    body,
    isForm: true,
  }
}

function rawName(disposition: string): string {
  if (disposition === '') return ''
  return uploadedName(parseContentDisposition(disposition)?.parameters.get('filename') ?? '')
}

function objectBody(body: RequestBody): ObjectBody {
  if (!Buffer.isBuffer(body)) return { sizeBytes: body.sizeBytes, pieces: () => body.pieces }
  return {
    sizeBytes: body.length,
    whole: body,
    async *pieces() {
      yield body
    },
  }
}

/** The directories above a key, where they are not known to be there. Throws `conflict` for a file among them. */
export async function makeParents(
  { directories, objects }: FilerContext,
  bucket: Bucket,
  { key, mode = FILE_MODE_DEFAULT }: { key: string; mode?: number | undefined },
): Promise<void> {
  const parent = parentOfKey(key)
  if (parent === '' || directories.has(bucket.id, parent)) return
  const there = await objects.stat(bucket, parent)
  if (there !== undefined && !there.isDirectory) throw new StoreError('conflict', `/${parent} is a file`)
  if (there === undefined) {
    try {
      await objects.makeDirectory(bucket, parent, { posix: { mode: mode | SEARCHABLE } })
    } catch (error) {
      // Another request was first.
      if (!(error instanceof StoreError) || error.code !== 'directory_exists') throw error
    }
  }
  directories.add(bucket.id, parent)
}

function attributesOf(
  context: FilerContext,
  { query }: FilerRequest,
  { headers, upload }: { headers: UploadHeaders; upload: Upload },
): ObjectAttributes {
  const { attributes } = headers
  const contentType = keptContentType(upload.contentType)
  if (contentType !== undefined) attributes.contentType = contentType
  const mode = query.mode()
  const ttl = query.ttl()
  if (mode !== undefined || ttl !== 0) {
    attributes.posix = { ...(mode === undefined ? {} : { mode }), ...lifeOf(context, ttl) }
  }
  return attributes
}

function lifeOf(context: FilerContext, ttl: number): NonNullable<ObjectAttributes['posix']> {
  return ttl === 0 ? {} : posixOfTtl(ttl, context.clock.nowMs())
}

/** Throws `bad_request` for a collection that is not for files, or a TTL that is none. */
function placementOf({ query }: FilerRequest): PutObject['placement'] {
  const [collection, ttl] = [query.text('collection'), query.ttl()]
  if (collection === '' && ttl === 0) return undefined
  const isUsable = /^[^/\\._\p{Cc}\ufffd][^/\\\p{Cc}\ufffd]*$/u.test(collection)
  if (collection !== '' && (!isUsable || Buffer.byteLength(collection) > COLLECTION_BYTES_MAX)) {
    throw new StoreError('bad_request', 'collection is not a name that volumes may have')
  }
  return { ...(collection === '' ? {} : { collection }), ...(ttl === 0 ? {} : { ttl: blobTtl(ttl) }) }
}

/** Compares what arrived with the Content-MD5 that was announced, in base64 or hex, and keeps both for the reply. */
class Md5Check implements BodyCheck {
  readonly digests = []
  md5: Buffer = Buffer.alloc(0)
  sizeBytes = 0
  readonly #wanted: Buffer | undefined

  /** Throws `bad_request`. */
  constructor(announced: string) {
    if (announced === '') return
    const isHex = /^[0-9a-fA-F]{32}$/.test(announced)
    const wanted = Buffer.from(announced, isHex ? 'hex' : 'base64')
    if (wanted.length !== MD5_BYTES || (!isHex && wanted.toString('base64') !== announced))
      throw new StoreError('bad_request', 'Content-MD5 is not the base64 of 16 bytes')
    this.#wanted = wanted
  }

  verify(digests: { md5?: Buffer }, sizeBytes: number): undefined {
    this.md5 = digests.md5!
    this.sizeBytes = sizeBytes
    if (this.#wanted !== undefined && !timingSafeEqual(this.#wanted, this.md5)) {
      throw new StoreError('digest_mismatch', 'The Content-Md5 you specified did not match what we received.')
    }
  }
}
