/** Bytes by their SHA-256, in a bucket that deduplicates: whether they are there, whatever their names, and a further name for them. */

import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import type { BlobId } from '../blobs/blob-store.ts'
import type { MetaStore } from '../meta/meta-store.ts'
import { query, type Script } from '../meta/meta-store.ts'
import type { AnyScript } from '../meta/run-steps.ts'
import { BlobMap } from './content/blob-map.ts'
import { shareByHash } from './content-steps.ts'
import { digestsOf } from './digests.ts'
import type { Bucket, FoundObject, ObjectAttributes, PutResult } from './object-store.ts'
import type { ContentReader, StoredContent } from './parts.ts'
import { PatientWrites } from './patient-writes.ts'
import { type PutOutcome, type PutVersion, putVersion } from './put-version.ts'
import { attributesText } from './rows.ts'
import { writeContext } from './write-context.ts'

export interface ContentAt {
  bucket: Bucket
  /** 32 bytes. */
  sha256: Buffer
}

export interface FoundContent {
  sizeBytes: number
  /** As FoundObject's. */
  read: FoundObject['read']
}

export interface NameContent extends ContentAt {
  key: string
  attributes: ObjectAttributes
}

interface ByHash {
  bucketId: number
  sha256: Buffer
}

interface ContentRow {
  contentId: Buffer
  sizeBytes: number
}

const findContent: Script<ByHash, ContentRow | undefined> = {
  name: 'contents.find',
  *steps({ bucketId, sha256 }) {
    const [row] = yield query(
      'select content_id, size from content where bucket_id = ? and sha256 = ?',
      bucketId,
      sha256,
    )
    if (row === undefined) return undefined
    return { contentId: row.content_id as Buffer, sizeBytes: row.size as number }
  },
}

/** Undefined: there are no such bytes any more. */
const nameContent: Script<Omit<PutVersion, 'content'> & ByHash, PutOutcome | undefined> = {
  name: 'contents.name',
  *steps(args) {
    if (args.sizeBytes === 0) return yield* putVersion({ ...args, content: { kind: 'none' } })
    const contentId = yield* shareByHash(args.bucketId, args.sha256)
    if (contentId === undefined) return undefined
    return yield* putVersion({ ...args, content: { kind: 'taken', blobs: null, contentId } })
  },
}

/** Scripts that write, for the thread that runs them. */
export const CONTENTS_SCRIPTS: readonly AnyScript[] = [nameContent]

const ETAG_DIGITS = 32

export interface ContentsOptions {
  meta: MetaStore
  reader: ContentReader
  clock: Clock
  random: Random
}

export class Contents {
  readonly #options: ContentsOptions
  readonly #writes: PatientWrites
  readonly #hashOfNothing = digestsOf(['sha256'], Buffer.alloc(0)).sha256!

  constructor(options: ContentsOptions) {
    this.#options = options
    this.#writes = new PatientWrites(options.meta, options.clock)
  }

  /** Undefined: there are none. No bytes are always there. */
  async find(at: ContentAt): Promise<FoundContent | undefined> {
    const stored = await this.#stored(at)
    if (stored === undefined) return undefined
    const { sizeBytes } = stored
    return { sizeBytes, read: (start, end) => this.#options.reader.read(stored, start, end) }
  }

  /**
   * An object of bytes that are there; undefined: they are not. Its ETag is no MD5, which nobody knows. Throws as
   * `ObjectStore.put` does.
   */
  async name({ bucket, sha256, key, attributes }: NameContent): Promise<PutResult | undefined> {
    const stored = await this.#stored({ bucket, sha256 })
    if (stored === undefined) return undefined
    const { sizeBytes } = stored
    const etag = `${sha256.toString('hex').slice(0, ETAG_DIGITS)}-1`
    const put = await this.#writes.run(nameContent, {
      ...writeContext(this.#options, bucket, key),
      ...{ sha256, sizeBytes, etag, tags: null },
      attributes: attributesText(attributes),
      event: 'ObjectCreated:Put',
    })
    return put && { ...put, etag, sizeBytes, checksum: attributes.checksum }
  }

  /** The blob that the bytes begin in; undefined: there is none. */
  async firstBlob(at: ContentAt): Promise<BlobId | undefined> {
    const stored = await this.#stored(at)
    if (stored === undefined || stored.sizeBytes === 0) return undefined
    return (await new BlobMap(this.#options.meta, stored, { start: 0, end: 1 }).next())?.blob
  }

  async #stored({ bucket, sha256 }: ContentAt): Promise<StoredContent | undefined> {
    const none = { blobs: undefined, encryption: undefined }
    if (sha256.equals(this.#hashOfNothing)) return { ...none, contentId: undefined, sizeBytes: 0 }
    const found = await this.#options.meta.read(findContent, { bucketId: bucket.id, sha256 })
    return found && { ...none, ...found }
  }
}
