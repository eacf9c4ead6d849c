/** Contents over real volumes and real metadata, with a count of what is in use, a clock to turn, and faults on demand. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { StoreError } from '../../src/base/errors.ts'
import { formatFid } from '../../src/base/fid.ts'
import { systemRandom } from '../../src/base/random.ts'
import {
  type BlobId,
  type BlobStore,
  type BlobVolume,
  type BlobWrite,
  blobBytes,
  type ListedBlob,
  type VerifiedBlob,
} from '../../src/blobs/blob-store.ts'
import type { VolumeAdmin } from '../../src/disk/volume-admin.ts'
import type { MetaStore } from '../../src/meta/meta-store.ts'
import { openMetaStore } from '../../src/meta/open-meta-store.ts'
import { Buckets } from '../../src/objects/buckets.ts'
import { BlobContentReader } from '../../src/objects/content-reader.ts'
import { BlobContentWriter, UPLOAD_LOAD_BYTES, UploadLoad } from '../../src/objects/content-writer.ts'
import { type HashPool, inlineHashPool } from '../../src/objects/digests.ts'
import { IndexedStore } from '../../src/objects/indexed-store.ts'
import { Names } from '../../src/objects/names.ts'
import type { Bucket, ObjectBody, ObjectPieces, ObjectStore } from '../../src/objects/object-store.ts'
import type { NewContent, StoredContent } from '../../src/objects/parts.ts'
import { NO_REDUNDANCY } from '../../src/objects/redundancy-rules.ts'
import { ObjectTree } from '../../src/objects/tree.ts'
import { MultipartUploads } from '../../src/objects/uploads.ts'
import { startBlobStore } from '../blob-store/blob-store-kit.ts'
import { startErasure } from '../erasure/erasure-kit.ts'
import { objectKeys } from '../support/object-keys.ts'

/** A blob store that counts, and fails where it is told to. */
export class WatchedBlobs implements BlobStore {
  readonly live = new Map<string, number>()
  writesAtOnce = 0
  writesAtOnceMax = 0
  reads = 0
  bytesRead = 0
  /** Called before each write and removal; throws to make it fail. */
  beforeWrite: (blob: BlobWrite) => void | Promise<void> = () => {}
  beforeRemove: (ids: readonly BlobId[]) => void | Promise<void> = () => {}
  /** Called when a blob is written, before it counts as durable. */
  beforeDurable: () => void | Promise<void> = () => {}
  readonly #store: BlobStore

  constructor(store: BlobStore) {
    this.#store = store
  }

  async write(blob: BlobWrite): Promise<BlobId> {
    this.writesAtOnceMax = Math.max(this.writesAtOnceMax, ++this.writesAtOnce)
    try {
      await this.beforeWrite(blob)
      let sizeBytes = 0
      const data = (id: BlobId) => {
        const bytes = blobBytes(blob, id)
        sizeBytes = bytes.length
        return bytes
      }
      const id = await this.#store.write({ ...blob, data })
      this.live.set(formatFid(id), sizeBytes)
      await this.beforeDurable()
      return id
    } finally {
      this.writesAtOnce--
    }
  }

  read(id: BlobId, options?: { deleted?: boolean }): Buffer | Promise<Buffer> {
    this.reads++
    return this.#store.read(id, options)
  }

  async *readRange(id: BlobId, start: number, end: number, options?: { deleted?: boolean }) {
    this.reads++
    for await (const piece of this.#store.readRange(id, start, end, options)) {
      this.bytesRead += piece.length
      yield piece
    }
  }

  verify(id: BlobId, options: { repair: boolean }): Promise<VerifiedBlob> {
    return this.#store.verify(id, options)
  }

  async remove(ids: readonly BlobId[]): Promise<void> {
    await this.beforeRemove(ids)
    await this.#store.remove(ids)
    for (const id of ids) this.live.delete(formatFid(id))
  }

  volumes(): Promise<BlobVolume[]> {
    return this.#store.volumes()
  }

  list(volumeId: number, fromEntry: number, endEntry?: number): AsyncIterable<ListedBlob[]> {
    return this.#store.list(volumeId, fromEntry, endEntry)
  }

  close(): void {
    this.#store.close()
  }
}

/** The system's clock, a while ahead. */
export class TurnedClock implements Clock {
  aheadMs = 0
  readonly monotonicMs = systemClock.monotonicMs
  readonly after = systemClock.after
  readonly every = systemClock.every
  readonly soon = systemClock.soon
  readonly sleep = systemClock.sleep

  nowMs(): number {
    return systemClock.nowMs() + this.aheadMs
  }
}

export interface ContentKit {
  blobs: WatchedBlobs
  /** The volumes, as their keeper has them. */
  keeper: VolumeAdmin
  meta: MetaStore
  clock: TurnedClock
  load: UploadLoad
  writer: BlobContentWriter
  reader: BlobContentReader
  uploads: MultipartUploads
  store: ObjectStore
  close(): Promise<void>
}

export async function startContent(
  options: {
    hashPool?: HashPool
    url?: string | undefined
    partBytesMin?: number
    /** Everything is stored in shards. */
    inShards?: boolean
    /** What the store sees of the metadata. */
    seen?: (meta: MetaStore) => MetaStore
  } = {},
): Promise<ContentKit> {
  const kit = await (options.inShards ? startShards() : startPlain())
  const directory = mkdtempSync(join(tmpdir(), 'cairn-content-'))
  const clock = new TurnedClock()
  const random = systemRandom
  const opened = await openMetaStore(options.url ?? directory, { clock, random })
  const meta = options.seen?.(opened) ?? opened
  const blobs = new WatchedBlobs(kit.blobs)
  const load = new UploadLoad(new SharedArrayBuffer(UPLOAD_LOAD_BYTES))
  const hashPool = options.hashPool ?? inlineHashPool
  const keys = objectKeys()
  const redundancy = { ...NO_REDUNDANCY, usual: options.inShards ? 'rs-4-2' : 'none' } as const
  const parts = { blobs, load, hashPool, meta, keys, clock, random, redundancy, collection: '_objects' }
  const writer = new BlobContentWriter(parts)
  const reader = new BlobContentReader(parts)
  const { partBytesMin } = options
  const uploads = new MultipartUploads({ ...parts, writer, reader, partBytesMin })
  const store = new IndexedStore({
    buckets: new Buckets(parts),
    names: new Names({ ...parts, writer, reader }),
    uploads,
    tree: new ObjectTree(parts),
  })
  return {
    ...{ blobs, keeper: kit.keeper, meta, clock, load, writer, reader, uploads, store },
    async close() {
      await meta.close()
      await kit.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function startPlain(): Promise<Pick<ContentKit, 'keeper' | 'close'> & { blobs: BlobStore }> {
  const kit = await startBlobStore({ isLocal: true, sync: 'none' })
  return { ...kit, keeper: kit.engine.keeper }
}

/** `keeper`: that of the first shards. */
async function startShards(): Promise<Pick<ContentKit, 'keeper' | 'close'> & { blobs: BlobStore }> {
  const kit = await startErasure(() => true, 'rs-4-2', { collection: '_objects' })
  return { ...kit, keeper: kit.domains[0]!.store.keeper }
}

export const bucket = (configs: Bucket['configs'] = new Map()): Bucket => ({
  id: 1,
  name: 'bucket',
  owner: 'owner',
  createdMs: 0,
  versioning: 'off',
  objectLock: false,
  quotaBytes: 0,
  configs,
  revision: 1,
})

/** A body in pieces of a length; `whole` where it is undefined. */
export function bodyOf(
  bytes: Buffer,
  options: { pieceBytes?: number; isSizeKnown?: boolean; breaksOffAt?: number } = {},
): ObjectBody {
  const { pieceBytes, isSizeKnown = true, breaksOffAt = Number.POSITIVE_INFINITY } = options
  return {
    sizeBytes: isSizeKnown ? bytes.length : undefined,
    ...(pieceBytes === undefined ? { whole: bytes } : {}),
    async *pieces() {
      const length = pieceBytes ?? bytes.length
      for (let at = 0; at < bytes.length; at += length) {
        if (at >= breaksOffAt) throw new StoreError('incomplete_body', 'the client broke off')
        yield bytes.subarray(at, at + length)
      }
    },
  }
}

export const inlineOf = (content: NewContent, sizeBytes: number): StoredContent => ({
  blobs: content.kind === 'inline' ? Buffer.from(content.blobs) : undefined,
  contentId: content.kind === 'pages' ? Buffer.from(content.contentId) : undefined,
  sizeBytes,
  encryption: undefined,
})

export async function bytesOf(read: Buffer | Promise<Buffer> | ObjectPieces): Promise<Buffer> {
  const bytes = await read
  if (Buffer.isBuffer(bytes)) return bytes
  const pieces: Buffer[] = []
  for await (const piece of bytes.pieces()) pieces.push(piece)
  const whole = Buffer.concat(pieces)
  if (whole.length !== bytes.sizeBytes) throw new Error(`${whole.length} bytes, not ${bytes.sizeBytes}`)
  return whole
}

/** Other uploads come, so many that chunks are as short as they get; the result ends them. */
export function crowd(load: UploadLoad): () => void {
  const promises = Array.from({ length: 5_000 }, () => load.enter())
  return () => {
    for (const promise of promises) load.leave(promise)
  }
}
