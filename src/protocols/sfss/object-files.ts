/** Files as objects of one bucket, which is made with the first of them. */
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import { FILER_BUCKET_KNOWN_MS } from '../../base/limits.ts'
import { mimeTypeOfName } from '../../net/mime-types.ts'
import type { Bucket, Conditions, FoundObject, ObjectStore } from '../../objects/object-store.ts'
import type { FileStore, StorageState, StoredFile } from './file-store.ts'
import type { SfssCounters } from './sfss-counters.ts'
import { counterTexts, processTexts } from './status.ts'

export const SFSS_BUCKET = 'sfss'
/** Given to the store as a whole. */
const WHOLE_BYTES_MAX = 64 * 1024

export interface ObjectFilesOptions {
  objects: ObjectStore
  clock: Clock
  /** Account that the bucket belongs to. */
  owner: string
  storage: {
    /** `host:port`, by which the storage is named. */
    address(): string
    /** Asks its servers now, and gives what there is to say of them. Throws `unavailable` or `timeout` when none of them answers. */
    check(): Promise<Record<string, string>>
  }
  /** Of the door: the storage is asked by nobody else. */
  counters: SfssCounters
  /** The program's. */
  version: string
}

export class ObjectFiles implements FileStore {
  readonly #options: ObjectFilesOptions
  readonly #objects: ObjectStore
  readonly #clock: Clock
  readonly #startedMs: number
  #known: Bucket | undefined
  #knownMs = 0

  constructor(options: ObjectFilesOptions) {
    this.#options = options
    this.#objects = options.objects
    this.#clock = options.clock
    this.#startedMs = options.clock.monotonicMs()
  }

  find(path: string): StoredFile | Promise<StoredFile> {
    const bucket = this.#knownBucket()
    if (bucket === undefined) return this.#find(path).then((found) => fileOf(found, path))
    try {
      const found = this.#objects.find(bucket, path)
      if (!(found instanceof Promise)) return fileOf(found, path)
      return found.then(
        (each) => fileOf(each, path),
        (error: unknown) => this.#failed(error),
      )
    } catch (error) {
      return this.#failed(error)
    }
  }

  async #find(path: string): Promise<FoundObject> {
    const bucket = await this.#bucket()
    if (bucket === undefined) throw notFound(path)
    const found = await this.#inBucket(() => this.#objects.find(bucket, path))
    return found
  }

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

  async remove(path: string, conditions: Conditions | undefined): Promise<void> {
    const { info } = await this.#find(path)
    if (info.isDeleteMarker) throw notFound(path)
    const bucket = await this.#bucket()
    const request = { key: info.key, ...(conditions && { conditions }) }
    if (bucket !== undefined) await this.#inBucket(() => this.#objects.delete({ bucket, ...request }))
  }

  async states(): Promise<StorageState[]> {
    const { storage, counters, clock, version } = this.#options
    const servers = await storage.check()
    const bucket = await this.#bucket()
    const usage = bucket && (await this.#inBucket(() => this.#objects.usage(bucket)))
    const stats = {
      ...processTexts({ clock, version, startedMs: this.#startedMs, threads: counters.places }),
      ...counterTexts(counters.totals()),
      curr_items: String(usage?.objects ?? 0),
      total_items: String(counters.totals().cmd_set),
      bytes: String(usage?.bytes ?? 0),
      ...servers,
    }
    return [{ address: storage.address(), failure: undefined, stats }]
  }

  async #inBucket<T>(use: () => T | Promise<T>): Promise<T> {
    try {
      return await use()
    } catch (error) {
      return this.#failed(error)
    }
  }

  #failed(error: unknown): never {
    if (error instanceof StoreError && error.code === 'bucket_not_found') this.#known = undefined
    throw error
  }

  #knownBucket(): Bucket | undefined {
    const age = this.#clock.monotonicMs() - this.#knownMs
    return age < FILER_BUCKET_KNOWN_MS ? this.#known : undefined
  }

  async #bucket(): Promise<Bucket | undefined> {
    const known = this.#knownBucket()
    if (known !== undefined) return known
    const now = this.#clock.monotonicMs()
    this.#known = await this.#objects.bucket(SFSS_BUCKET)
    this.#knownMs = now
    return this.#known
  }

  async #makeBucket(): Promise<Bucket> {
    try {
      return await this.#objects.createBucket({ name: SFSS_BUCKET, owner: this.#options.owner })
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

function fileOf(found: FoundObject, path: string): StoredFile {
  const { etag, modifiedMs, sizeBytes, isDeleteMarker } = found.info
  if (isDeleteMarker) throw notFound(path)
  return {
    ...{ etag, modifiedMs, sizeBytes },
    // Of the path alone, without a character set that nobody knows.
    contentType: mimeTypeOfName(path).split(';')[0]!,
    read: (start, end) => found.read(start, end),
  }
}

function notFound(path: string): StoreError {
  return new StoreError('not_found', `there is no file ${path}`)
}
