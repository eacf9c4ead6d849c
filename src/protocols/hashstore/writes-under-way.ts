/**
 * Writes of the old protocol that have begun and not ended, as all threads of a process see them. Its clients never hear when a file is
 * stored, and fetch it right behind the write; the first servers served one connection after the other, so that a fetch came after
 * every write before it. Here a fetch waits for those of its name.
 */
import type { Clock } from '../../base/clock.ts'
import { fnv1a } from '../../base/fnv1a.ts'
import {
  HASHSTORE_FETCH_WAIT_MS_MAX,
  HASHSTORE_NAME_WAIT_MS_MAX,
  HASHSTORE_WRITES_SEEN_MAX,
} from '../../base/limits.ts'

const POLL_MS = 2
/** Of a write whose name has not come yet. */
const UNKNOWN = 0

export interface WriteUnderWay {
  /** Its name has come. */
  named(name: Buffer): void
  end(): void
}

export class WritesUnderWay {
  /** Number of the last write; then, for each place, the number of the write there (0: none) and the hash of its name. */
  readonly #words: Int32Array

  /** `shared`: of `share`. */
  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared)
  }

  /** Memory for all threads of a process. */
  static share(): SharedArrayBuffer {
    return new SharedArrayBuffer((1 + 2 * HASHSTORE_WRITES_SEEN_MAX) * Int32Array.BYTES_PER_ELEMENT)
  }

  /** To be called before the client is told to go on. Where too many are under way, nobody waits for this one. */
  begin(): WriteUnderWay {
    const words = this.#words
    const number = this.#nextNumber()
    for (let at = 1; at < words.length; at += 2) {
      if (Atomics.compareExchange(words, at, 0, number) !== 0) continue
      return {
        named: (name) => void Atomics.store(words, at + 1, hashOf(name)),
        end() {
          Atomics.store(words, at + 1, UNKNOWN)
          Atomics.store(words, at, 0)
        },
      }
    }
    return { named() {}, end() {} }
  }

  /** Resolves when the writes of this name that had begun before the call have ended, or take too long. */
  async settled(name: Buffer, clock: Clock): Promise<void> {
    const before = Atomics.load(this.#words, 0)
    const hash = hashOf(name)
    const startMs = clock.monotonicMs()
    for (;;) {
      const elapsedMs = clock.monotonicMs() - startMs
      // In this order: a name that comes between the two looks is seen by the second.
      const waits =
        (elapsedMs < HASHSTORE_NAME_WAIT_MS_MAX && this.#has(UNKNOWN, before)) ||
        (elapsedMs < HASHSTORE_FETCH_WAIT_MS_MAX && this.#has(hash, before))
      if (!waits) return
      await clock.sleep(POLL_MS)
    }
  }

  /** Whether a write up to the number `last` is of this name. */
  #has(hash: number, last: number): boolean {
    const words = this.#words
    for (let at = 1; at < words.length; at += 2) {
      const number = Atomics.load(words, at)
      // Numbers begin again after 2^32 writes.
      if (number !== 0 && ((number - last) | 0) <= 0 && Atomics.load(words, at + 1) === hash) return true
    }
    return false
  }

  #nextNumber(): number {
    const number = (Atomics.add(this.#words, 0, 1) + 1) | 0
    return number === 0 ? this.#nextNumber() : number
  }
}

/** Never UNKNOWN. */
function hashOf(name: Buffer): number {
  const hash = fnv1a(name)
  return hash === UNKNOWN ? 1 : hash
}
