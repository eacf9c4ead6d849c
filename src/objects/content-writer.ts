/** Bodies into blobs: one blob for a small body, chunks for a long one, and nothing where something goes wrong. */
import type { Clock } from '../base/clock.ts'
import {
  CONTENT_PAGE_ENTRIES,
  HASH_AT_ONCE_BYTES_MAX,
  INLINE_BLOBS_MAX,
  OBJECT_CHUNK_BYTES,
} from '../base/limits.ts'
import type { Random } from '../base/random.ts'
import type { Unsynced } from '../base/unsynced.ts'
import type { BlobId, BlobStore, BlobTarget } from '../blobs/blob-store.ts'
import { type MetaStore, mayHaveHappened } from '../meta/meta-store.ts'
import { BlobWrites } from './content/blob-writes.ts'
import { ChunkBuffers } from './content/chunk-buffers.ts'
import { ChunkStream, tooLarge, wrongLength } from './content/chunk-stream.ts'
import { type BlobEntry, packBlobs, unpackBlobs } from './content/entries.ts'
import { leaveBlobs } from './content/garbage-scripts.ts'
import { digestsOf, type HashPool, inlineHashPool } from './digests.ts'
import type { DigestName, Digests, ObjectBody } from './object-store.ts'
import type { ContentWriter, NewContent, StoreContent, WrittenContent } from './parts.ts'
import { NO_REDUNDANCY, type RedundancyRules, redundancyFor } from './redundancy-rules.ts'
import type { UploadLoad } from './upload-load.ts'

export { packSegments } from './content/entries.ts'
export { UPLOAD_LOAD_BYTES, UploadLoad } from './upload-load.ts'

export interface ContentWriterOptions {
  blobs: BlobStore
  /** Of all threads of the process. */
  load: UploadLoad
  hashPool: HashPool
  /** Remembers blobs that should be removed and could not be at once. */
  meta: MetaStore
  clock: Clock
  random: Random
  /** Where blobs go that nobody places elsewhere. */
  collection: string
  /** Default NO_REDUNDANCY. */
  redundancy?: RedundancyRules
}

export class BlobContentWriter implements ContentWriter {
  readonly #options: ContentWriterOptions
  readonly #blobs: BlobWrites
  readonly #buffers: ChunkBuffers
  /** When each body that is being stored came, the oldest first. */
  readonly #starts = new Set<{ startMs: number }>()

  constructor(options: ContentWriterOptions) {
    this.#options = options
    this.#blobs = new BlobWrites(options.blobs)
    this.#buffers = new ChunkBuffers(options.hashPool.isShared)
  }

  /** When the oldest body that is being stored came; undefined: none is. */
  get oldestStartMs(): number | undefined {
    for (const { startMs } of this.#starts) return startMs
    return undefined
  }

  async store(body: ObjectBody, options: StoreContent): Promise<WrittenContent> {
    const start = { startMs: this.#options.clock.nowMs() }
    this.#starts.add(start)
    try {
      return await this.#store(body, options)
    } finally {
      this.#starts.delete(start)
    }
  }

  #store(body: ObjectBody, options: StoreContent): Promise<WrittenContent> {
    const announced = body.sizeBytes
    if (announced !== undefined && announced > options.sizeBytesMax) throw tooLarge(options.sizeBytesMax)
    const { whole } = body
    if (whole === undefined) return this.#storeStream(body, options)
    if (announced !== undefined && announced !== whole.length) throw wrongLength(announced)
    const bytesMax = this.#options.hashPool.isShared ? HASH_AT_ONCE_BYTES_MAX : OBJECT_CHUNK_BYTES
    if (whole.length > bytesMax) return this.#storeStream(streamOf(whole), options)
    return this.#storeWhole(whole, options)
  }

  async discard(content: NewContent): Promise<void> {
    if (content.kind === 'inline') await this.#remove(unpackBlobs(bufferOf(content.blobs)))
    if (content.kind !== 'pages' || content.entries !== 'chunks') return
    for (const page of content.pages) await this.#remove(unpackBlobs(bufferOf(page)))
  }

  async abandon(content: NewContent, error: unknown): Promise<void> {
    if (mayHaveHappened(error)) this.#options.load.noteOrphan()
    else await this.discard(content)
  }

  /** A body that is here: it is checked before it is written. */
  async #storeWhole(whole: Buffer, options: StoreContent): Promise<WrittenContent> {
    if (whole.length > options.sizeBytesMax) throw tooLarge(options.sizeBytesMax)
    const digests = digestsOf(digestNames(options), whole)
    const verified = options.check?.verify(digests, whole.length)
    const entries: BlobEntry[] = []
    let unsynced: Unsynced | undefined
    if (whole.length > 0) {
      const onUnsynced = (left: Unsynced) => {
        unsynced = left
      }
      try {
        const target = this.#target(options)
        const { dataKey, mayBeUnsynced } = options
        const blob = { data: whole, target, dataKey, onUnsynced: mayBeUnsynced ? onUnsynced : undefined }
        const id = await this.#blobs.write(blob)
        entries.push({ ...id, sizeBytes: whole.length })
      } catch (error) {
        this.#options.load.noteOrphan()
        throw error
      }
    }
    return { ...this.#written({ entries, digests, sizeBytes: whole.length, verified }, options), unsynced }
  }

  async #storeStream(body: ObjectBody, options: StoreContent): Promise<WrittenContent> {
    const { load } = this.#options
    const isLong = body.sizeBytes === undefined || body.sizeBytes > HASH_AT_ONCE_BYTES_MAX
    const hashPool = isLong ? this.#options.hashPool : inlineHashPool
    const promise = load.enter(body.sizeBytes, options.dataKey === undefined ? 1 : 2)
    const stream = new ChunkStream({
      blobs: this.#blobs,
      load,
      buffers: this.#buffers,
      chunkBytes: promise.chunkBytes,
      hashing: hashPool.start(digestNames(options)),
      target: this.#target(options),
      sizeBytesMax: options.sizeBytesMax,
      dataKey: options.dataKey,
    })
    try {
      const taken = await stream.store(body, (digests, sizeBytes) =>
        options.check?.verify(digests, sizeBytes),
      )
      return this.#written({ ...taken, sizeBytes: stream.sizeBytes }, options)
    } catch (error) {
      await this.#remove(await stream.undo())
      throw error
    } finally {
      load.leave(promise)
    }
  }

  #target({ placement, bucket, storageClass }: StoreContent): BlobTarget {
    const { collection, redundancy = NO_REDUNDANCY } = this.#options
    return {
      collection: placement?.collection ?? collection,
      ttl: placement?.ttl ?? 0,
      redundancy: redundancyFor(redundancy, bucket.name, storageClass),
    }
  }

  #written(
    taken: {
      entries: BlobEntry[]
      digests: Digests
      sizeBytes: number
      verified: ReturnType<NonNullable<StoreContent['check']>['verify']>
    },
    options: StoreContent,
  ): WrittenContent {
    const { entries, digests, sizeBytes, verified } = taken
    const md5 = digests.md5 ?? newContentId(this.#options.random)
    return {
      content: this.#contentOf(entries, isDeduplicated(options) ? digests.sha256 : undefined),
      sizeBytes,
      etag: options.dataKey?.etagOf(md5) ?? md5.toString('hex'),
      digests,
      checksum: verified?.checksum,
      encryption: options.dataKey?.stored,
    }
  }

  #contentOf(entries: readonly BlobEntry[], sha256: Buffer | undefined): NewContent {
    if (entries.length === 0) return { kind: 'none' }
    if (sha256 === undefined && entries.length <= INLINE_BLOBS_MAX)
      return { kind: 'inline', blobs: packBlobs(entries) }
    const pages: Buffer[] = []
    for (let at = 0; at < entries.length; at += CONTENT_PAGE_ENTRIES)
      pages.push(packBlobs(entries.slice(at, at + CONTENT_PAGE_ENTRIES)))
    const contentId = newContentId(this.#options.random)
    return {
      kind: 'pages',
      contentId,
      entries: 'chunks',
      pages,
      ...(sha256 === undefined ? {} : { sha256 }),
    }
  }

  async #remove(ids: readonly BlobId[]): Promise<void> {
    const { blobs, meta, clock, random, load } = this.#options
    for (let at = 0; at < ids.length; at += CONTENT_PAGE_ENTRIES) {
      const group = ids.slice(at, at + CONTENT_PAGE_ENTRIES)
      try {
        await blobs.remove(group)
      } catch {
        const entries = packBlobs(group.map((id) => ({ ...id, sizeBytes: 0 })))
        const left = { blobs: entries, nonce: newContentId(random), dueMs: clock.nowMs() }
        // When that fails too, they are orphans: the search after the next start finds them.
        await meta.write(leaveBlobs, left).catch(() => load.noteOrphan())
      }
    }
  }
}

const streamOf = (whole: Buffer): ObjectBody => ({
  sizeBytes: whole.length,
  async *pieces() {
    yield whole
  },
})

/**
 * Bytes that the bucket has already, under any name, are kept once. Bytes with a life of their own are not shared, nor those with
 * keys of their own.
 */
function isDeduplicated({ bucket, placement, dataKey }: StoreContent): boolean {
  if (dataKey !== undefined) return false
  return bucket.configs.has('dedupe') && placement?.collection === undefined && placement?.ttl === undefined
}

function digestNames(options: StoreContent): DigestName[] {
  const names: DigestName[] = [...(options.check?.digests ?? [])]
  if (!options.hasOpaqueEtag && !names.includes('md5')) names.push('md5')
  if (isDeduplicated(options) && !names.includes('sha256')) names.push('sha256')
  return names
}

/** Ids of contents are given by whoever makes one, on any machine, so they are long enough to differ by chance. */
export function newContentId(random: Random): Buffer {
  return random.bytes(16)
}

const bufferOf = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
