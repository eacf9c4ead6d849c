/** The files of this door: objects of one bucket, which is made with the first of them. */
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import { FILER_BUCKET_KNOWN_MS } from '../../base/limits.ts'
import type { Bucket, Conditions, FoundObject, ObjectStore } from '../../objects/object-store.ts'

export const SFSS_BUCKET = 'sfss'
/** Given to the store as a whole. */
const WHOLE_BYTES_MAX = 64 * 1024

export class SfssFiles {
  readonly #objects: ObjectStore
  readonly #clock: Clock
  readonly #owner: string
  #known: Bucket | undefined
  #knownMs = 0

  /** `owner`: account that the bucket belongs to. */
  constructor({ objects, clock, owner }: { objects: ObjectStore; clock: Clock; owner: string }) {
    this.#objects = objects
    this.#clock = clock
    this.#owner = owner
  }

  /** Throws `not_found`. */
  async find(path: string): Promise<FoundObject> {
    const bucket = await this.#bucket()
    if (bucket === undefined) throw notFound(path)
    const found = await this.#inBucket(() => this.#objects.find(bucket, path))
    if (found.info.isDeleteMarker) throw notFound(path)
    return found
  }

  /** Throws what `ObjectStore.put` throws. */
  async put(path: string, bytes: Buffer, conditions: Conditions | undefined): Promise<void> {
    const body = {
      sizeBytes: bytes.length,
      ...(bytes.length <= WHOLE_BYTES_MAX && { whole: bytes }),
      async *pieces() {
        yield bytes
      },
    }
    const put = async () => {
      const bucket = (await this.#bucket()) ?? (await this.#makeBucket())
      const request = { bucket, key: path, body, attributes: {}, ...(conditions && { conditions }) }
      await this.#inBucket(() => this.#objects.put(request))
    }
    try {
      await put()
    } catch (error) {
      // The bucket was removed since it was last seen.
      if (!(error instanceof StoreError) || error.code !== 'bucket_not_found') throw error
      await put()
    }
  }

  /** Throws `not_found`. */
  async remove(path: string): Promise<void> {
    const { info } = await this.find(path)
    const bucket = await this.#bucket()
    if (bucket !== undefined) await this.#inBucket(() => this.#objects.delete({ bucket, key: info.key }))
  }

  async count(): Promise<{ objects: number; bytes: number }> {
    const bucket = await this.#bucket()
    if (bucket === undefined) return { objects: 0, bytes: 0 }
    return await this.#inBucket(() => this.#objects.usage(bucket))
  }

  async #inBucket<T>(use: () => T | Promise<T>): Promise<T> {
    try {
      return await use()
    } catch (error) {
      if (error instanceof StoreError && error.code === 'bucket_not_found') this.#known = undefined
      throw error
    }
  }

  async #bucket(): Promise<Bucket | undefined> {
    const now = this.#clock.monotonicMs()
    if (this.#known !== undefined && now - this.#knownMs < FILER_BUCKET_KNOWN_MS) return this.#known
    this.#known = await this.#objects.bucket(SFSS_BUCKET)
    this.#knownMs = now
    return this.#known
  }

  async #makeBucket(): Promise<Bucket> {
    try {
      return await this.#objects.createBucket({ name: SFSS_BUCKET, owner: this.#owner })
    } catch (error) {
      // Another request was first.
      if (!(error instanceof StoreError) || error.code !== 'bucket_exists') throw error
      const bucket = await this.#objects.bucket(SFSS_BUCKET)
      if (bucket === undefined)
        throw new StoreError('conflict', 'the bucket comes and goes', { cause: error })
      return bucket
    }
  }
}

function notFound(path: string): StoreError {
  return new StoreError('not_found', `there is no file ${path}`)
}
