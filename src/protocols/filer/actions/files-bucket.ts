/**
 * The bucket `files`, remembered for a moment: nearly every request needs it, and it hardly ever changes. What decides about a
 * request (versions, quotas) the store reads anew; a bucket that is made again under its name is found when the old one is missed.
 */
import type { Clock } from '../../../base/clock.ts'
import { FILER_BUCKET_KNOWN_MS } from '../../../base/limits.ts'
import type { Bucket, ObjectStore } from '../../../objects/object-store.ts'
import { FILES_BUCKET } from './filer-path.ts'

export class FilesBucket {
  readonly #objects: ObjectStore
  readonly #clock: Clock
  #known: Bucket | undefined
  #knownMs = 0
  #isNear = true

  constructor(objects: ObjectStore, clock: Clock) {
    this.#objects = objects
    this.#clock = clock
  }

  find(): Bucket | undefined | Promise<Bucket | undefined> {
    if (this.#known !== undefined && this.#clock.monotonicMs() - this.#knownMs < FILER_BUCKET_KNOWN_MS)
      return this.#known
    const found = this.#objects.bucket(FILES_BUCKET)
    this.#isNear = !(found instanceof Promise)
    return found instanceof Promise ? found.then(this.#remember) : this.#remember(found)
  }

  /** Names are answered at once, not by promises. */
  get isNear(): boolean {
    return this.#isNear
  }

  /** It may be gone. */
  forget(): void {
    this.#known = undefined
  }

  readonly #remember = (bucket: Bucket | undefined): Bucket | undefined => {
    this.#known = bucket
    this.#knownMs = this.#clock.monotonicMs()
    return bucket
  }
}
