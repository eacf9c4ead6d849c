/**
 * Buckets that one thread remembers between requests. All threads of a process share one number that rises with every
 * change of any bucket, before whoever asked for the change is told that it is done: while it stays the same, what is
 * remembered is what a look at the metadata would give. Only for metadata that no other process writes.
 */
import { BUCKETS_READ_MAX } from '../base/limits.ts'
import type { Bucket } from './object-store.ts'

/** Memory that the threads share, zero at the start. */
export const BUCKET_CHANGES_BYTES = Int32Array.BYTES_PER_ELEMENT

export class BucketMemory {
  readonly #changes: Int32Array
  readonly #known = new Map<string, Bucket>()
  /** The number of changes that `#known` is from. */
  #knownAt = 0

  /** `shared`: BUCKET_CHANGES_BYTES, the same for every thread that changes buckets. */
  constructor(shared: SharedArrayBuffer) {
    this.#changes = new Int32Array(shared)
  }

  /** To be given to `put` with what is read after this call. */
  get now(): number {
    return Atomics.load(this.#changes, 0)
  }

  get(name: string): Bucket | undefined {
    return this.#knownAt === this.now ? this.#known.get(name) : undefined
  }

  /** Remembers what was read; `at`: the number from before the reading. */
  put(bucket: Bucket, at: number): void {
    if (this.#knownAt !== at || this.#known.size >= BUCKETS_READ_MAX) {
      this.#known.clear()
      this.#knownAt = at
    }
    this.#known.set(bucket.name, bucket)
  }

  /** A bucket was made, changed or removed, or perhaps was: all threads look again. */
  noteChange(): void {
    Atomics.add(this.#changes, 0, 1)
  }
}
