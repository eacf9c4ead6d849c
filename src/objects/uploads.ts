/** Multipart uploads and appends: objects that come in several pieces. Each piece is a content; the whole names them. */
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { MULTIPART_PARTS_MAX, PART_BYTES_MAX, PART_BYTES_MIN } from '../base/limits.ts'
import type { Random } from '../base/random.ts'
import type { MetaStore } from '../meta/meta-store.ts'
import type { AnyScript } from '../meta/run-steps.ts'
import { Appends } from './appends.ts'
import { appendObject } from './content/append-object.ts'
import { completeUpload } from './content/complete-upload.ts'
import { copyPart } from './content/copy-part.ts'
import { checksumOf, checksumText } from './content/part-checksums.ts'
import {
  abortSomeUploads,
  abortUpload,
  clearUpload,
  createUpload,
  endedUploads,
  findUpload,
  listParts,
  listUploads,
  type PartRow,
  putPart,
  type RemoveParts,
  type UploadAt,
  type UploadNotes,
  type UploadRow,
} from './content/upload-scripts.ts'
import { newContentId } from './content-writer.ts'
import { sourceOf } from './copies.ts'
import { checkSource } from './copy-version.ts'
import { digestNameOf, digestsOf, type HashPool } from './digests.ts'
import { findVersion } from './find-steps.ts'
import type { DataKey, ObjectKeys } from './object-keys.ts'
import type {
  Checksum,
  ChecksumAlgorithm,
  CompleteUpload,
  CopyPart,
  DigestName,
  Digests,
  ListUploadsPage,
  ListUploadsRequest,
  NewUpload,
  ObjectBody,
  ObjectInfo,
  PartInfo,
  PutPart,
  PutResult,
  UploadInfo,
  UploadRef,
} from './object-store.ts'
import type {
  ContentReader,
  ContentWriter,
  NewContent,
  Uploads,
  VersionRow,
  WrittenContent,
} from './parts.ts'
import { PatientWrites } from './patient-writes.ts'
import type { WriteContext } from './put-version.ts'
import { NO_REDUNDANCY, type RedundancyRules, redundancyFor } from './redundancy-rules.ts'
import { attributesOf, contentOf, infoOf, keyBytes, tagsText, textBytes } from './rows.ts'
import { bodyOfRange } from './stored-body.ts'
import { writeContext } from './write-context.ts'

const TIME_BYTES = 6
const UPLOAD_ID = /^[0-9a-f]{32}$/
const PLAIN_MD5 = /^[0-9a-f]{32}$/
/** A source that is replaced all the time while it is being copied. */
const COPY_ATTEMPTS_MAX = 5
const ENDED_AT_ONCE_MAX = 100

export interface UploadsOptions {
  meta: MetaStore
  writer: ContentWriter
  reader: ContentReader
  hashPool: HashPool
  keys: ObjectKeys
  clock: Clock
  random: Random
  /** Default PART_BYTES_MIN. */
  partBytesMin?: number
  /** Default NO_REDUNDANCY. */
  redundancy?: RedundancyRules
}

/** Scripts that write, for the thread that runs them. */
export const UPLOAD_SCRIPTS: readonly AnyScript[] = [
  createUpload,
  putPart,
  copyPart,
  completeUpload,
  abortUpload,
  abortSomeUploads,
  clearUpload,
  appendObject,
]

export class MultipartUploads implements Uploads {
  readonly #options: UploadsOptions
  readonly #writes: PatientWrites
  readonly #appends: Appends

  constructor(options: UploadsOptions) {
    this.#options = options
    this.#writes = new PatientWrites(options.meta, options.clock)
    this.#appends = new Appends(options, this.#writes)
  }

  async createUpload(upload: NewUpload): Promise<UploadInfo> {
    const dataKey = this.#options.keys.forNew(upload.bucket, upload.encryption)
    const context = writeContext(this.#options, upload.bucket, upload.key)
    // Uploads of one key are in the order of their ids, and so of time.
    const uploadId = newContentId(this.#options.random)
    uploadId.writeUIntBE(context.nowMs, 0, TIME_BYTES)
    const { checksum } = upload
    const attributes = { ...upload.attributes, encryption: dataKey?.stored }
    const notes: UploadNotes = checksum === undefined ? { attributes } : { attributes, checksum }
    await this.#writes.run(createUpload, {
      ...context,
      uploadId,
      attributes: JSON.stringify(notes),
      tags: tagsText(upload.tags),
      lock: upload.lock,
    })
    return {
      key: upload.key,
      uploadId: uploadId.toString('hex'),
      createdMs: context.nowMs,
      attributes,
      checksum,
    }
  }

  async putPart(part: PutPart): Promise<PartInfo> {
    const at = uploadAtOf(part)
    checkNumber(part.number)
    const { attributes, checksum: wanted } = notesOf(await this.#options.meta.read(findUpload, at))
    const dataKey = this.#options.keys.open(attributes.encryption, part.customerKey)
    const digests: DigestName[] = [...(part.check?.digests ?? [])]
    if (wanted !== undefined) digests.push(digestNameOf(wanted.algorithm))
    const verify = part.check?.verify.bind(part.check) ?? (() => undefined)
    const written = await this.#options.writer.store(part.body, {
      bucket: part.bucket,
      check: { digests, verify },
      dataKey,
      storageClass: attributes.storageClass,
      hasOpaqueEtag: part.hasOpaqueEtag,
      sizeBytesMax: PART_BYTES_MAX,
    })
    const checksum = wanted === undefined ? written.checksum : checksumFrom(wanted.algorithm, written.digests)
    return await this.#putPartRow(part, written, checksum)
  }

  async #putPartRow(
    part: UploadRef & { number: number; onlyNew?: boolean },
    written: WrittenContent,
    checksum: Checksum | undefined,
  ): Promise<PartInfo> {
    const { writer } = this.#options
    const { number, onlyNew } = part
    const at = this.#contextOf(part)
    const { sizeBytes, etag } = written
    const content = this.#asPages(written.content)
    try {
      await this.#writes.run(putPart, {
        ...at,
        ...{ number, content, sizeBytes, etag, onlyNew },
        checksums: checksumText(checksum),
      })
    } catch (error) {
      await writer.abandon(content, error)
      throw error
    }
    return { number, sizeBytes, modifiedMs: at.nowMs, etag, checksum, encryption: written.encryption?.kind }
  }

  /** The bytes of a part are always a content, because an object will share them. */
  #asPages(content: NewContent): NewContent {
    if (content.kind !== 'inline' && content.kind !== 'none') return content
    const pages = content.kind === 'inline' ? [content.blobs] : []
    return { kind: 'pages', contentId: newContentId(this.#options.random), entries: 'chunks', pages }
  }

  async copyPart(part: CopyPart): Promise<PartInfo & { source: ObjectInfo }> {
    const { meta, keys } = this.#options
    checkNumber(part.number)
    const at = uploadAtOf(part)
    const { attributes, checksum: wanted } = notesOf(await meta.read(findUpload, at))
    const dataKey = keys.open(attributes.encryption, part.customerKey)
    const source = sourceOf(part.source)
    for (let attempt = 0; attempt < COPY_ATTEMPTS_MAX; attempt++) {
      const { row, isLatest } = await meta.read(findVersion, source)
      checkSource(source, row)
      const range = part.range ?? { start: 0, end: row.size }
      const { start, end } = range
      if (!(start >= 0 && start <= end && end <= row.size))
        throw new StoreError('bad_request', `the source has no bytes ${start} to ${end}`)
      const { storageClass } = attributes
      const what = { range, algorithm: wanted?.algorithm, dataKey, storageClass }
      const info = await this.#copyRange(part, row, what)
      if (info !== undefined) return { ...info, source: infoOf(row, isLatest, part.source.key) }
    }
    throw new StoreError('conflict', 'the source is replaced all the time')
  }

  /** Undefined: the source is another one by now. */
  async #copyRange(part: CopyPart, row: VersionRow, what: CopiedRange): Promise<PartInfo | undefined> {
    const { random } = this.#options
    const { start, end } = what.range
    if (mustBeRead(row, what.dataKey) || this.#isStoredOtherwise(part, row, what.storageClass))
      return await this.#copyBytes(part, row, what)
    const sums = await this.#sumsOfRange(row, what)
    const at = this.#contextOf(part)
    const isCopied = await this.#writes.run(copyPart, {
      ...at,
      source: sourceOf(part.source),
      ...{ rank: row.rank, number: part.number, start, end },
      sizeBytes: end - start,
      etag: sums.etag,
      checksums: checksumText(sums.checksum),
      sharedId: newContentId(random),
      contentId: newContentId(random),
    })
    const { number } = part
    return isCopied ? { number, sizeBytes: end - start, modifiedMs: at.nowMs, ...sums } : undefined
  }

  /** Whether the part is to be protected in another way than its source. */
  #isStoredOtherwise(part: CopyPart, row: VersionRow, storageClass: string | undefined): boolean {
    const { redundancy = NO_REDUNDANCY } = this.#options
    const { storageClass: sourceClass } = attributesOf(row)
    const there = redundancyFor(redundancy, part.source.bucket.name, sourceClass)
    return redundancyFor(redundancy, part.bucket.name, storageClass) !== there
  }

  async #copyBytes(part: CopyPart, row: VersionRow, what: CopiedRange): Promise<PartInfo> {
    const { reader, writer } = this.#options
    const { range, algorithm, dataKey, storageClass } = what
    const { customerKey } = part.source
    const digests = algorithm === undefined ? [] : [digestNameOf(algorithm)]
    const written = await writer.store(bodyOfRange(reader, contentOf(row), { ...range, customerKey }), {
      bucket: part.bucket,
      check: { digests, verify: () => undefined },
      dataKey,
      storageClass,
      sizeBytesMax: PART_BYTES_MAX,
    })
    const checksum = algorithm === undefined ? undefined : checksumFrom(algorithm, written.digests)
    return await this.#putPartRow(part, written, checksum)
  }

  /** ETag and checksum of a range: those of the source where that is all of it, computed only where a checksum is needed. */
  async #sumsOfRange(
    row: VersionRow,
    what: CopiedRange,
  ): Promise<{ etag: string; checksum: Checksum | undefined }> {
    const { start, end } = what.range
    const { algorithm } = what
    const attributes = attributesOf(row)
    const isWhole = start === 0 && end === row.size
    const known = isWhole && attributes.checksum?.type === 'FULL_OBJECT' ? attributes.checksum : undefined
    const needsChecksum = algorithm !== undefined && known?.algorithm !== algorithm
    const hasMd5 = isWhole && PLAIN_MD5.test(row.etag)
    if (!needsChecksum && hasMd5)
      return { etag: row.etag, checksum: algorithm === undefined ? undefined : known }
    const bytes = bodyOfRange(this.#options.reader, contentOf(row), what.range)
    if (!needsChecksum && !isShort(bytes)) {
      // Nobody can know the MD5 of these bytes without reading them: the ETag is one of where they come from.
      const words = Buffer.from(`${row.etag}:${row.rank}:${start}-${end}`)
      return { etag: digestsOf(['md5'], words).md5!.toString('hex'), checksum: known }
    }
    const names: DigestName[] = algorithm === undefined ? ['md5'] : ['md5', digestNameOf(algorithm)]
    const digests = await this.#digestsOfBody(bytes, names)
    const checksum = algorithm === undefined ? undefined : checksumFrom(algorithm, digests)
    return { etag: digests.md5!.toString('hex'), checksum }
  }

  async #digestsOfBody(body: ObjectBody, names: readonly DigestName[]): Promise<Digests> {
    const hashing = this.#options.hashPool.start(names)
    try {
      for await (const piece of body.pieces()) await hashing.update(piece)
      return await hashing.finish()
    } finally {
      hashing.abandon()
    }
  }

  async listParts(
    upload: UploadRef,
    options: { after: number; limit: number },
  ): Promise<{ upload: UploadInfo; parts: PartInfo[]; next: number | undefined }> {
    const { limit } = options
    const found = await this.#options.meta.read(listParts, { ...uploadAtOf(upload), ...options })
    const parts = found.parts.slice(0, limit).map(partInfoOf)
    const next = found.parts.length > limit ? (parts.at(-1)?.number ?? options.after) : undefined
    return { upload: uploadInfoOf(found.upload), parts, next }
  }

  async completeUpload(request: CompleteUpload): Promise<PutResult> {
    const { random } = this.#options
    checkOrder(request.parts)
    const { sha256, replacesEqual = false } = request
    if (sha256 !== undefined) await this.#checkSha256(uploadAtOf(request), request.parts, sha256)
    const at = this.#contextOf(request)
    const { partBytesMin = PART_BYTES_MIN } = this.#options
    const completed = await this.#writes.run(completeUpload, {
      ...at,
      parts: request.parts.map(({ number, etag, checksum }) => ({ number, etag, checksum })),
      conditions: request.conditions,
      sizeBytes: request.sizeBytes,
      checksum: request.checksum,
      ...{ sha256, replacesEqual },
      partBytesMin: sha256 === undefined ? partBytesMin : 0,
      contentId: newContentId(random),
    })
    const { isDone, ...result } = completed
    // The object is there: what is left of the upload goes now, or after the next start.
    if (!isDone) await clearParts(this.#writes, at).catch(() => {})
    return result
  }

  /** Reads the parts. Throws `digest_mismatch`, `invalid_part`, `upload_not_found`. */
  async #checkSha256(at: UploadAt, wanted: CompleteUpload['parts'], sha256: Buffer): Promise<void> {
    const { meta, reader, hashPool } = this.#options
    const { upload, parts } = await meta.read(listParts, { ...at, after: 0, limit: MULTIPART_PARTS_MAX })
    if (notesOf(upload).attributes.encryption !== undefined)
      throw new StoreError('unsupported', 'encrypted bytes are not shared by their hash')
    const byNumber = new Map(parts.map((part) => [part.number, part]))
    const hashing = hashPool.start(['sha256'])
    try {
      for (const { number, etag } of wanted) {
        const part = byNumber.get(number)
        if (part?.etag !== etag)
          throw new StoreError('invalid_part', `there is no part ${number} of this ETag`)
        const stored = { blobs: undefined, contentId: part.content_id, sizeBytes: part.size }
        const body = bodyOfRange(reader, { ...stored, encryption: undefined }, { start: 0, end: part.size })
        for await (const piece of body.pieces()) await hashing.update(piece)
      }
      const found = (await hashing.finish()).sha256!
      if (!found.equals(sha256)) throw new StoreError('digest_mismatch', 'the bytes have another SHA-256')
    } finally {
      hashing.abandon()
    }
  }

  async abortUpload(upload: UploadRef): Promise<void> {
    const at = this.#contextOf(upload)
    const { isDone } = await this.#writes.run(abortUpload, at)
    if (!isDone) await clearParts(this.#writes, at)
  }

  async listUploads(request: ListUploadsRequest): Promise<ListUploadsPage> {
    const { after, afterUploadId, limit } = request
    if (limit <= 0) return { uploads: [], prefixes: [], next: undefined }
    const { items, isTruncated } = await this.#options.meta.read(listUploads, {
      bucketId: request.bucket.id,
      prefix: textBytes(request.prefix ?? '', 'prefix'),
      delimiter: textBytes(request.delimiter ?? '', 'delimiter'),
      after: after === undefined ? undefined : textBytes(after, 'key marker'),
      afterUploadId:
        afterUploadId === undefined || !UPLOAD_ID.test(afterUploadId)
          ? undefined
          : Buffer.from(afterUploadId, 'hex'),
      limit,
    })
    const page: ListUploadsPage = { uploads: [], prefixes: [], next: undefined }
    for (const item of items) {
      if ('row' in item) page.uploads.push(uploadInfoOf(item.row))
      else page.prefixes.push(item.prefix.toString())
    }
    const last = items.at(-1)
    if (!isTruncated || last === undefined) return page
    page.next =
      'row' in last
        ? { key: last.row.key.toString(), uploadId: last.row.upload_id.toString('hex') }
        : { key: last.prefix.toString(), uploadId: undefined }
    return page
  }

  readonly append: Uploads['append'] = (request) => this.#appends.append(request)

  /** Where an upload is, and what a script that writes needs. */
  #contextOf(upload: UploadRef): UploadAt & WriteContext {
    const context = writeContext(this.#options, upload.bucket, upload.key)
    return { ...context, uploadId: uploadAtOf(upload).uploadId }
  }
}

async function clearParts(writes: PatientWrites, at: RemoveParts): Promise<void> {
  for (let isDone = false; !isDone; ) isDone = (await writes.run(clearUpload, at)).isDone
}

/** Removes what a process that died has left of aborted and completed uploads. */
export async function clearEndedUploads({ meta, clock }: { meta: MetaStore; clock: Clock }): Promise<void> {
  const writes = new PatientWrites(meta, clock)
  for (;;) {
    const ended = await meta.read(endedUploads, { limit: ENDED_AT_ONCE_MAX })
    for (const { bucket_id, key, upload_id } of ended) {
      const at = { bucketId: bucket_id, key, uploadId: upload_id }
      await clearParts(writes, { ...at, nowMs: clock.nowMs(), usagePart: 0 })
    }
    if (ended.length < ENDED_AT_ONCE_MAX) return
  }
}

function uploadAtOf(upload: UploadRef): UploadAt {
  if (!UPLOAD_ID.test(upload.uploadId)) throw new StoreError('upload_not_found', 'there is no such upload')
  const uploadId = Buffer.from(upload.uploadId, 'hex')
  return { bucketId: upload.bucket.id, key: keyBytes(upload.key), uploadId }
}

function checkNumber(number: number): void {
  if (!(Number.isInteger(number) && number >= 1 && number <= MULTIPART_PARTS_MAX))
    throw new StoreError('bad_request', `part numbers are from 1 to ${MULTIPART_PARTS_MAX}`)
}

function checkOrder(parts: CompleteUpload['parts']): void {
  if (parts.length === 0) throw new StoreError('bad_request', 'an upload is completed with at least one part')
  let before = 0
  for (const { number } of parts) {
    checkNumber(number)
    if (number <= before) throw new StoreError('invalid_part_order', 'parts are listed in rising order')
    before = number
  }
}

interface CopiedRange {
  range: { start: number; end: number }
  algorithm: ChecksumAlgorithm | undefined
  /** Of the upload. */
  dataKey: DataKey | undefined
  storageClass: string | undefined
}

/** Bytes that end by themselves are not shared with a name that does not, nor are those that have keys. */
function mustBeRead(row: VersionRow, dataKey: DataKey | undefined): boolean {
  const { posix, encryption } = attributesOf(row)
  return posix?.ttlSeconds !== undefined || encryption !== undefined || dataKey !== undefined
}

const notesOf = (row: UploadRow) => JSON.parse(row.attributes) as UploadNotes

function uploadInfoOf(row: UploadRow): UploadInfo {
  const { attributes, checksum } = notesOf(row)
  return {
    key: row.key.toString(),
    uploadId: row.upload_id.toString('hex'),
    createdMs: row.created_ms,
    attributes,
    checksum,
  }
}

const partInfoOf = (row: PartRow): PartInfo => ({
  number: row.number,
  sizeBytes: row.size,
  etag: row.etag,
  modifiedMs: row.modified_ms,
  checksum: checksumOf(row.checksums),
})

function checksumFrom(algorithm: ChecksumAlgorithm, digests: Digests): Checksum {
  const value = digests[digestNameOf(algorithm)]!.toString('base64')
  return { algorithm, value, type: 'FULL_OBJECT' }
}

/** Read in no time. */
const isShort = (body: ObjectBody) => body.sizeBytes! <= PART_BYTES_MIN
