/** The objects of this door: those of one bucket that counts versions and keeps equal bytes once. It is made with the first of them. */
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import { FILER_BUCKET_KNOWN_MS } from '../../base/limits.ts'
import type { Contents } from '../../objects/contents.ts'
import type { LifecycleRule } from '../../objects/lifecycle-rules.ts'
import type {
  Bucket,
  Checksum,
  FoundObject,
  ObjectBody,
  ObjectInfo,
  ObjectStore,
} from '../../objects/object-store.ts'
import { type NumberedVersions, versionIdOfNumber } from '../../objects/version-numbers.ts'
import { hashOf } from './object-path.ts'

export const OBJECTS_BUCKET = 'objects'

/** Of an object, or of bytes by their hash. */
export interface Stored {
  sizeBytes: number
  read: FoundObject['read']
}

export interface StoredObjectsOptions {
  objects: ObjectStore
  contents: Contents
  versions: NumberedVersions
  clock: Clock
  /** Account that the bucket belongs to. */
  owner: string
}

/** Uploads that nobody goes on with are removed when their tokens are worth nothing any more. */
const LIFECYCLE: readonly LifecycleRule[] = [
  { id: 'unfinished uploads', isEnabled: true, prefix: '', tags: [], abortUploadDays: 2 },
]

/** The checksum that every object of this door carries. */
export const checksumOf = (sha256: Buffer): Checksum => ({
  algorithm: 'SHA256',
  value: sha256.toString('base64'),
  type: 'FULL_OBJECT',
})

export class StoredObjects {
  readonly #options: StoredObjectsOptions
  #known: Bucket | undefined
  #knownMs = 0

  constructor(options: StoredObjectsOptions) {
    this.#options = options
  }

  /** Throws `not_found`, `version_not_found`. A name that no object has may be the hash of one. */
  async find(name: string, number: number | undefined): Promise<Stored> {
    const bucket = await this.bucket()
    if (bucket === undefined) throw notFound(name)
    if (number !== undefined) return await this.#version(bucket, name, number)
    const found = await this.#latest(bucket, name)
    if (found !== undefined) return { sizeBytes: found.info.sizeBytes, read: found.read }
    const sha256 = hashOf(name)
    const content = sha256 && (await this.#options.contents.find({ bucket, sha256 }))
    if (content === undefined) throw notFound(name)
    return content
  }

  async #version(bucket: Bucket, name: string, number: number): Promise<Stored> {
    const options = { versionId: versionIdOfNumber(number) }
    const found = await this.#inBucket(() => this.#options.objects.find(bucket, name, options))
    if (found.info.isDeleteMarker) throw notFound(name)
    return { sizeBytes: found.info.sizeBytes, read: found.read }
  }

  /** Undefined: there is none, or it is deleted. */
  async #latest(bucket: Bucket, name: string): Promise<FoundObject | undefined> {
    try {
      const found = await this.#inBucket(() => this.#options.objects.find(bucket, name))
      return found.info.isDeleteMarker ? undefined : found
    } catch (error) {
      if (error instanceof StoreError && error.code === 'not_found') return undefined
      throw error
    }
  }

  /** Bytes as a new version. `expected`: their SHA-256 must be this. Throws `digest_mismatch`, and as `ObjectStore.put` does. */
  async put(name: string, body: ObjectBody, expected: Buffer | undefined): Promise<void> {
    await this.inOwnBucket((bucket) =>
      this.#options.objects.put({
        bucket,
        key: name,
        body,
        attributes: {},
        hasOpaqueEtag: true,
        check: {
          digests: ['sha256'],
          verify: ({ sha256 }) => {
            if (expected !== undefined && !sha256!.equals(expected))
              throw new StoreError('digest_mismatch', 'the bytes have another SHA-256 than the Digest')
            return { checksum: checksumOf(sha256!) }
          },
        },
      }),
    )
  }

  /** A new version that says deleted. */
  async remove(name: string): Promise<void> {
    await this.inOwnBucket((bucket) => this.#options.objects.delete({ bucket, key: name }))
  }

  /** One version, for good. Throws `version_not_found`; `conflict` for the latest, whose number would be given again. */
  async purge(name: string, number: number): Promise<void> {
    const bucket = await this.bucket()
    if (bucket === undefined) throw notFound(name)
    const { objects } = this.#options
    const latest = await this.#inBucket(() => objects.find(bucket, name))
    const versionId = versionIdOfNumber(number)
    if (latest.info.versionId === versionId)
      throw new StoreError('conflict', 'the latest version of an object is not removed for good')
    await this.#inBucket(() => objects.delete({ bucket, key: name, versionId }))
  }

  /** Pages of versions of one name, or of all names in their order; of each the oldest first. */
  async *versions(name: string | undefined): AsyncGenerator<ObjectInfo[]> {
    const bucket = await this.bucket()
    if (bucket === undefined) return
    const { versions } = this.#options
    yield* name === undefined ? versions.ofAll(bucket) : versions.ofKey(bucket, name)
  }

  /** The bucket, where there is one. */
  async bucket(): Promise<Bucket | undefined> {
    const { objects, clock } = this.#options
    const now = clock.monotonicMs()
    if (this.#known !== undefined && now - this.#knownMs < FILER_BUCKET_KNOWN_MS) return this.#known
    const bucket = await objects.bucket(OBJECTS_BUCKET)
    this.#known = bucket !== undefined && isOwn(bucket) ? bucket : undefined
    this.#knownMs = now
    return this.#known
  }

  /** Does something in the bucket, which is made where there is none. */
  async inOwnBucket<T>(use: (bucket: Bucket) => Promise<T>): Promise<T> {
    const attempt = async () => {
      const bucket = (await this.bucket()) ?? (await this.#makeBucket())
      return await this.#inBucket(() => use(bucket))
    }
    try {
      return await attempt()
    } catch (error) {
      // The bucket was removed since it was last seen.
      if (!(error instanceof StoreError) || error.code !== 'bucket_not_found') throw error
      return await attempt()
    }
  }

  async #inBucket<T>(use: () => T | Promise<T>): Promise<T> {
    try {
      return await use()
    } catch (error) {
      if (error instanceof StoreError && error.code === 'bucket_not_found') this.#known = undefined
      throw error
    }
  }

  async #makeBucket(): Promise<Bucket> {
    const { objects, owner } = this.#options
    const configs = {
      version_numbers: '{}',
      dedupe: '{}',
      lifecycle: JSON.stringify(LIFECYCLE),
    }
    let bucket: Bucket | undefined
    try {
      bucket = await objects.createBucket({ name: OBJECTS_BUCKET, owner, configs })
    } catch (error) {
      // Another request was first.
      if (!(error instanceof StoreError) || error.code !== 'bucket_exists') throw error
      bucket = await objects.bucket(OBJECTS_BUCKET)
      if (bucket === undefined)
        throw new StoreError('conflict', 'the bucket comes and goes', { cause: error })
      if (!bucket.configs.has('version_numbers'))
        throw new StoreError('conflict', `the bucket ${OBJECTS_BUCKET} was made by another door`)
    }
    return await objects.changeBucket(bucket, { versioning: 'enabled' })
  }
}

/** Nobody writes to it before versions are kept. */
const isOwn = (bucket: Bucket) => bucket.versioning === 'enabled' && bucket.configs.has('version_numbers')

const notFound = (name: string) => new StoreError('not_found', `there is no object ${name}`)
