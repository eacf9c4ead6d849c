/**
 * Uploads in steps, which go on after whatever broke them off. What has come lies in the parts of an upload of the object layer:
 * each part is durable, follows the one before, and is never replaced, so that the number of bytes only grows.
 */
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import {
  MULTIPART_PARTS_MAX,
  OBJECT_BYTES_MAX,
  STEP_PART_BYTES_MIN,
  STEP_UPLOAD_MS_MAX,
} from '../../base/limits.ts'
import type { Contents } from '../../objects/contents.ts'
import type { Bucket, ObjectBody, ObjectStore, PartInfo, UploadRef } from '../../objects/object-store.ts'
import { CutBody } from './cut-body.ts'
import type { ObjectLocator } from './locator.ts'
import { checksumOf, type StoredObjects } from './stored-objects.ts'
import type { UploadToken, UploadTokens } from './upload-token.ts'

const PARTS_LISTED = 1_000
/** An upload that comes in one go takes at most half of the parts that there may be. */
const PARTS_IN_ONE_GO = MULTIPART_PARTS_MAX / 2

export interface StepUploadsOptions {
  stored: StoredObjects
  objects: ObjectStore
  contents: Contents
  locator: ObjectLocator
  tokens: UploadTokens
  clock: Clock
}

export interface UploadStep {
  token: string
  /** Which byte of the object is the first of the body. */
  first: number
  body: ObjectBody
}

export class StepUploads {
  readonly #options: StepUploadsOptions

  constructor(options: StepUploadsOptions) {
    this.#options = options
  }

  /**
   * A token; undefined: these bytes are here already, and the object has them now. Throws `bad_request`, `too_large`, and as
   * `ObjectStore.put` does.
   */
  async begin(name: string, facts: { sha256: Buffer; sizeBytes: number }): Promise<string | undefined> {
    const { sha256, sizeBytes } = facts
    const { stored, objects, contents, tokens, clock } = this.#options
    if (sizeBytes > OBJECT_BYTES_MAX)
      throw new StoreError('too_large', `an object has at most ${OBJECT_BYTES_MAX} bytes`)
    return await stored.inOwnBucket(async (bucket) => {
      const attributes = { checksum: checksumOf(sha256) }
      const known = await contents.find({ bucket, sha256 })
      if (known !== undefined && known.sizeBytes !== sizeBytes)
        throw new StoreError('bad_request', `these bytes are ${known.sizeBytes}, not ${sizeBytes}`)
      const isThere = known !== undefined && !(await this.#isLost(bucket, facts))
      if (isThere && (await contents.name({ bucket, sha256, key: name, attributes }))) return undefined
      if (sizeBytes === 0) throw new StoreError('bad_request', 'no bytes have another SHA-256')
      const { uploadId } = await objects.createUpload({ bucket, key: name, attributes })
      return tokens.sign({
        ...{ name, sizeBytes, sha256, uploadId },
        expiresMs: clock.nowMs() + STEP_UPLOAD_MS_MAX,
      })
    })
  }

  /** How many bytes are here. Throws `forbidden` (the token), `upload_not_found` (completed, or given up). */
  async receivedBytes(token: string): Promise<number> {
    const upload = await this.#upload(this.#verified(token))
    return bytesOf(await this.#parts(upload))
  }

  /**
   * Takes some more bytes; with the last of them the object is made. Throws `forbidden` for a wrong token, for more bytes than
   * the object has, and for others than its hash has, whose upload is given up; `range` problems as `RangeMismatch`.
   */
  async take({ token, first, body }: UploadStep): Promise<void> {
    const facts = this.#verified(token)
    const upload = await this.#upload(facts)
    const parts = await this.#parts(upload)
    const received = bytesOf(parts)
    if (received !== first) throw new RangeMismatch(received)
    if (received + (body.sizeBytes ?? 0) > facts.sizeBytes) throw tooMany(facts)
    const cut = new CutBody(body.pieces())
    await this.#append({ upload, facts, parts, cut })
    // Who broke off goes on later.
    if (cut.isCut) throw new StoreError('incomplete_body', 'the body was cut off')
    if (bytesOf(parts) === facts.sizeBytes) await this.#complete(upload, facts, parts)
  }

  /** Adds to `parts` what comes. */
  async #append(to: {
    upload: UploadRef
    facts: UploadToken
    parts: PartInfo[]
    cut: CutBody
  }): Promise<void> {
    const { upload, facts, parts, cut } = to
    const share = Math.ceil(facts.sizeBytes / PARTS_IN_ONE_GO)
    const partBytes = Math.max(STEP_PART_BYTES_MIN, share)
    while (await cut.hasMore()) {
      const left = facts.sizeBytes - bytesOf(parts)
      if (left === 0) throw tooMany(facts)
      const number = (parts.at(-1)?.number ?? 0) + 1
      if (number > MULTIPART_PARTS_MAX)
        throw new StoreError('conflict', 'the upload was broken off too many times: begin another one')
      const bytes = Math.min(partBytes, left)
      const body = { sizeBytes: undefined, pieces: () => cut.take(bytes) }
      parts.push(await this.#putPart({ ...upload, number, body, onlyNew: true, hasOpaqueEtag: true }))
    }
  }

  async #putPart(part: Parameters<ObjectStore['putPart']>[0]): Promise<PartInfo> {
    try {
      return await this.#options.objects.putPart(part)
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'conflict') throw error
      // Another request goes on with this upload, perhaps one of a client that thinks that this one is over.
      throw new RangeMismatch(bytesOf(await this.#parts(part)))
    }
  }

  /** Whether bytes that are known by their hash are nowhere to be read. */
  async #isLost(
    bucket: Bucket,
    { sha256, sizeBytes }: { sha256: Buffer; sizeBytes: number },
  ): Promise<boolean> {
    return sizeBytes > 0 && (await this.#options.locator.locate(bucket, sha256)) === undefined
  }

  async #complete(upload: UploadRef, facts: UploadToken, parts: readonly PartInfo[]): Promise<void> {
    const { objects } = this.#options
    try {
      const { sha256, sizeBytes } = facts
      const replacesEqual = await this.#isLost(upload.bucket, facts)
      await objects.completeUpload({ ...upload, parts, sha256, sizeBytes, replacesEqual })
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'digest_mismatch') throw error
      await objects.abortUpload(upload)
      throw new StoreError('forbidden', 'the bytes have another SHA-256 than the Digest: begin again', {
        cause: error,
      })
    }
  }

  #verified(token: string): UploadToken {
    return this.#options.tokens.verify(token, this.#options.clock.nowMs())
  }

  async #upload({ name, uploadId }: UploadToken): Promise<UploadRef> {
    const bucket: Bucket | undefined = await this.#options.stored.bucket()
    if (bucket === undefined) throw new StoreError('upload_not_found', 'there is no such upload')
    return { bucket, key: name, uploadId }
  }

  async #parts(upload: UploadRef): Promise<PartInfo[]> {
    const parts: PartInfo[] = []
    for (let after: number | undefined = 0; after !== undefined; ) {
      const page = await this.#options.objects.listParts(upload, { after, limit: PARTS_LISTED })
      parts.push(...page.parts)
      after = page.next
    }
    return parts
  }
}

/** The body does not begin where the bytes that are here end. */
export class RangeMismatch extends Error {
  readonly receivedBytes: number
  constructor(receivedBytes: number) {
    super(`${receivedBytes} bytes are here: go on behind them`)
    this.receivedBytes = receivedBytes
  }
}

const bytesOf = (parts: readonly PartInfo[]) => parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)

const tooMany = ({ sizeBytes }: UploadToken) =>
  new StoreError('forbidden', `the object has ${sizeBytes} bytes, and more came`)
