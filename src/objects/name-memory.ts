/**
 * Objects that one thread has found by their names, for as long as the metadata say that nothing of them has changed. What was
 * asked for since it came stays longer.
 */
import { NAME_MEMORY_BYTES_MAX } from '../base/limits.ts'
import type { KeyChanges, SeenKey } from '../meta/key-changes.ts'
import type { ObjectInfo } from './object-store.ts'
import type { StoredContent } from './parts.ts'

/** The latest version of a key. Nobody may change it. */
export interface KnownObject {
  readonly info: ObjectInfo
  readonly content: StoredContent
  readonly isVersioned: boolean
}

interface Kept {
  bucketId: number
  known: KnownObject
  seen: SeenKey
  bytes: number
  isUsed: boolean
}

/** Of one object beside its texts: what the objects of `Kept` take, and their place in the map. Measured. */
const ENTRY_BYTES = 900

export class NameMemory {
  readonly #changes: KeyChanges
  readonly #bytesMax: number
  /** By key: where two buckets have the same one, the last stays. */
  readonly #kept = new Map<string, Kept>()
  #bytes = 0

  constructor(changes: KeyChanges, bytesMax = NAME_MEMORY_BYTES_MAX) {
    this.#changes = changes
    this.#bytesMax = bytesMax
  }

  get(bucketId: number, key: string): KnownObject | undefined {
    const kept = this.#kept.get(key)
    if (kept === undefined || kept.bucketId !== bucketId || !this.#changes.isCurrent(kept.seen))
      return undefined
    kept.isUsed = true
    return kept.known
  }

  /** What to give to `put`; to be asked before the metadata are. */
  see(bucketId: number, key: Buffer): SeenKey | undefined {
    return this.#changes.see(bucketId, key)
  }

  /** `rowBytes`: length of its row, most of all of its texts. */
  put(bucketId: number, known: KnownObject, { seen, rowBytes }: { seen: SeenKey; rowBytes: number }): void {
    const { info } = known
    Object.freeze(info)
    Object.freeze(info.attributes)
    this.#forget(info.key)
    const bytes = ENTRY_BYTES + 2 * rowBytes
    this.#kept.set(info.key, { bucketId, known, seen, bytes, isUsed: false })
    this.#bytes += bytes
    if (this.#bytes > this.#bytesMax) this.#makeRoom()
  }

  #forget(key: string): void {
    const before = this.#kept.get(key)
    if (before === undefined) return
    this.#kept.delete(key)
    this.#bytes -= before.bytes
  }

  /** The oldest go, but those that were used get another round. */
  #makeRoom(): void {
    for (const [key, kept] of this.#kept) {
      this.#kept.delete(key)
      if (kept.isUsed) {
        kept.isUsed = false
        this.#kept.set(key, kept)
      } else this.#bytes -= kept.bytes
      if (this.#bytes <= this.#bytesMax) return
    }
  }
}
