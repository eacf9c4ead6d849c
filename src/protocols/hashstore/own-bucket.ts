/** A bucket of this door's own, made when it is first written to. */
import { StoreError } from '../../base/errors.ts'
import type { Bucket, ObjectStore } from '../../objects/object-store.ts'

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
}
