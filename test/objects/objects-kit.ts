/** The object store over real metadata and real volumes, with a clock that the test sets. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { type ErrorCode, StoreError } from '../../src/base/errors.ts'
import { systemRandom } from '../../src/base/random.ts'
import type { BlobStore } from '../../src/blobs/blob-store.ts'
import type { MetaStore } from '../../src/meta/meta-store.ts'
import { openMetaStore } from '../../src/meta/open-meta-store.ts'
import { Buckets } from '../../src/objects/buckets.ts'
import { BlobContentReader } from '../../src/objects/content-reader.ts'
import { BlobContentWriter, UPLOAD_LOAD_BYTES, UploadLoad } from '../../src/objects/content-writer.ts'
import { inlineHashPool } from '../../src/objects/digests.ts'
import { IndexedStore } from '../../src/objects/indexed-store.ts'
import type {
  Bucket,
  FoundObject,
  NewBucket,
  ObjectStore,
  PutObject,
  PutResult,
} from '../../src/objects/object-store.ts'
import type { ContentReader } from '../../src/objects/parts.ts'
import { ObjectTree } from '../../src/objects/tree.ts'
import { MultipartUploads } from '../../src/objects/uploads.ts'
import { type BlobStoreKit, startBlobStore } from '../blob-store/blob-store-kit.ts'
import { CheckedNames } from '../support/checked-names.ts'
import { objectKeys } from '../support/object-keys.ts'
import { noPostgres, PostgresServer } from '../support/postgres.ts'

/** Stands still until it is moved, also backwards. */
export class SetClock implements Clock {
  ms = 1_800_000_000_000
  readonly monotonicMs = systemClock.monotonicMs
  readonly after = systemClock.after
  readonly every = systemClock.every
  readonly soon = systemClock.soon
  readonly sleep = systemClock.sleep

  nowMs(): number {
    return this.ms
  }
}

export interface ObjectsKit {
  store: ObjectStore
  /** What `blobs` lie in. */
  volumes: BlobStoreKit
  blobs: BlobStore
  meta: MetaStore
  reader: ContentReader
  clock: SetClock
  close(): Promise<void>
}

/** An engine of metadata: each store gets a fresh database. */
export interface ObjectsEngine {
  name: string
  skip: string | false
  begin(): Promise<void>
  end(): Promise<void>
  open(): Promise<ObjectsKit>
}

export async function startObjects(
  url?: string,
  wrap: (meta: MetaStore) => MetaStore = (meta) => meta,
): Promise<ObjectsKit> {
  const clock = new SetClock()
  const random = systemRandom
  const volumes = await startBlobStore({ isLocal: true, sync: 'none' })
  const directory = mkdtempSync(join(tmpdir(), 'cairn-objects-'))
  const meta = wrap(await openMetaStore(url ?? directory, { clock: systemClock, random }))
  const { blobs } = volumes
  const load = new UploadLoad(new SharedArrayBuffer(UPLOAD_LOAD_BYTES))
  const keys = objectKeys()
  const content = {
    ...{ blobs, load, meta, keys, clock, random },
    hashPool: inlineHashPool,
    collection: '_objects',
  }
  const writer = new BlobContentWriter(content)
  const reader = new BlobContentReader(content)
  const store = new IndexedStore({
    buckets: new Buckets({ meta, clock, random }),
    names: new CheckedNames({ ...content, writer, reader }),
    uploads: new MultipartUploads({ ...content, writer, reader, partBytesMin: 1 }),
    tree: new ObjectTree({ meta, clock, random }),
  })
  return {
    ...{ store, volumes, blobs, meta, reader, clock },
    async close() {
      await meta.close()
      await volumes.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

export function sqliteObjects(): ObjectsEngine {
  const nothing = async () => {}
  return { name: 'SQLite', skip: false, begin: nothing, end: nothing, open: () => startObjects() }
}

export function postgresObjects(): ObjectsEngine {
  let server: PostgresServer
  let databases = 0
  return {
    name: 'PostgreSQL',
    skip: noPostgres,
    async begin() {
      server = await PostgresServer.start()
    },
    async end() {
      await server?.end()
    },
    open: async () => startObjects(await server.createDatabase(`objects_${++databases}`)),
  }
}

/** For `assert.rejects`. */
export const code = (code: ErrorCode) => (error: unknown) => {
  assert.ok(error instanceof StoreError, String(error))
  assert.equal(error.code, code)
  return true
}

export const bodyOf = (bytes: Buffer): PutObject['body'] => ({
  sizeBytes: bytes.length,
  whole: bytes,
  async *pieces() {
    yield bytes
  },
})

export async function wholeOf(found: FoundObject): Promise<Buffer> {
  const bytes = await found.read(0, found.info.sizeBytes)
  if (Buffer.isBuffer(bytes)) return bytes
  const pieces: Buffer[] = []
  for await (const piece of bytes.pieces()) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** A store on SQLite with one bucket, and short ways to use it. */
export class OneBucket {
  readonly kit: ObjectsKit
  bucket: Bucket

  private constructor(kit: ObjectsKit, bucket: Bucket) {
    this.kit = kit
    this.bucket = bucket
  }

  static async open(bucket: Partial<NewBucket> = {}): Promise<OneBucket> {
    const kit = await startObjects()
    return new OneBucket(kit, await kit.store.createBucket({ name: 'bucket', owner: 'alice', ...bucket }))
  }

  get store(): ObjectStore {
    return this.kit.store
  }

  put(key: string, text = key, more: Partial<PutObject> = {}): Promise<PutResult> {
    const attributes = { contentType: 'text/plain' }
    return this.store.put({ bucket: this.bucket, key, body: bodyOf(Buffer.from(text)), attributes, ...more })
  }

  async text(key: string, versionId?: string): Promise<string> {
    const found = await this.store.find(this.bucket, key, { versionId })
    return (await wholeOf(found)).toString()
  }

  async versioning(versioning: 'enabled' | 'suspended'): Promise<void> {
    this.bucket = await this.store.changeBucket(this.bucket, { versioning })
  }

  /** All versions of a key, newest first: `id:text`, ids as their place in `ids`, markers as `-`. */
  async history(key: string): Promise<{ versionId: string; isLatest: boolean; text: string }[]> {
    const { versions } = await this.store.listVersions({ bucket: this.bucket, prefix: key, limit: 1000 })
    const own = versions.filter((version) => version.key === key)
    return await Promise.all(
      own.map(async ({ versionId, isLatest, isDeleteMarker }) => {
        const text = isDeleteMarker ? '(marker)' : await this.text(key, versionId)
        return { versionId, isLatest, text }
      }),
    )
  }
}
