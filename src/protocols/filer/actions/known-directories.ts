/**
 * Directories that were seen a short while ago, so that most files are stored without asking for theirs. What is out of date
 * does no harm: a directory that is gone meanwhile comes back by the file in it, and goes again with it.
 */
import type { Clock } from '../../../base/clock.ts'
import { FILER_KNOWN_DIRECTORIES_MAX, FILER_KNOWN_DIRECTORY_MS } from '../../../base/limits.ts'

export class KnownDirectories {
  readonly #clock: Clock
  readonly #seenMs = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  has(bucketId: number, path: string): boolean {
    const seenMs = this.#seenMs.get(`${bucketId}/${path}`)
    return seenMs !== undefined && this.#clock.monotonicMs() - seenMs < FILER_KNOWN_DIRECTORY_MS
  }

  add(bucketId: number, path: string): void {
    if (this.#seenMs.size >= FILER_KNOWN_DIRECTORIES_MAX) this.#seenMs.clear()
    this.#seenMs.set(`${bucketId}/${path}`, this.#clock.monotonicMs())
  }

  /** After directories were removed or renamed: any of them may lie below. */
  clear(): void {
    this.#seenMs.clear()
  }
}
