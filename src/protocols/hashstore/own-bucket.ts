/** A bucket of this door's own, made when it is first written to. */
import { StoreError } from '../../base/errors.ts'
import type { Bucket, FoundObject, ObjectAttributes, ObjectStore } from '../../objects/object-store.ts'

const NOTHING = Buffer.alloc(0)
/** Another request was in between. */
export const CHANGED: ReadonlySet<string> = new Set(['precondition_failed', 'not_found'])

export class OwnBucket {
  readonly #objects: ObjectStore
  readonly #name: string
  readonly #owner: string

  /** `owner`: account that it belongs to. */
  constructor({ objects, name, owner }: { objects: ObjectStore; name: string; owner: string }) {
    this.#objects = objects
    this.#name = name
    this.#owner = owner
  }

  /** Undefined: nobody has written to it. */
  find(): Bucket | undefined | Promise<Bucket | undefined> {
    return this.#objects.bucket(this.#name)
  }

  async findOrMake(): Promise<Bucket> {
    const found = await this.find()
    if (found !== undefined) return found
    try {
      return await this.#objects.createBucket({ name: this.#name, owner: this.#owner })
    } catch (error) {
      // Another request was first.
      const made =
        error instanceof StoreError && error.code === 'bucket_exists' ? await this.find() : undefined
      if (made === undefined) throw error
      return made
    }
  }

  /** Undefined: there is nothing under this key. */
  async lookUp(key: string): Promise<{ bucket: Bucket; found: FoundObject } | undefined> {
    const bucket = await this.find()
    if (bucket === undefined) return undefined
    try {
      const found = await this.#objects.find(bucket, key)
      return found.info.isDeleteMarker ? undefined : { bucket, found }
    } catch (error) {
      if (error instanceof StoreError && error.code === 'not_found') return undefined
      throw error
    }
  }

  /** Puts an empty object under a key. `change` says its attributes by those that are there; undefined: those stay. */
  async note(
    key: string,
    change: (present: ObjectAttributes | undefined) => ObjectAttributes | undefined,
  ): Promise<void> {
    const bucket = await this.findOrMake()
    for (;;) {
      const present = (await this.lookUp(key))?.found.info
      const attributes = change(present?.attributes)
      if (attributes === undefined) return
      const conditions = present === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: [present.etag] }
      const body = { sizeBytes: 0, whole: NOTHING, async *pieces() {} }
      try {
        await this.#objects.put({ bucket, key, body, hasOpaqueEtag: true, attributes, conditions })
        return
      } catch (error) {
        // It is looked at again. Whoever was first has got on: this ends.
        if (!(error instanceof StoreError) || !CHANGED.has(error.code)) throw error
      }
    }
  }
}
