/** Records that a compaction leaves out because they have expired: it must know them from those that it has not found. */
import { IDX_SIZE_DELETED } from './idx-entry.ts'
import type { IndexArena } from './index-arena.ts'
import { INDEX_STATE_WORDS, NeedleIndex } from './needle-index.ts'
import { IndexLoader } from './volume-index-file.ts'

type Key = { keyHigh: number; keyLow: number }

export class ExpiredRecords {
  readonly #index: NeedleIndex
  readonly #loader: IndexLoader

  /** Keys take as much of the arena's memory as those of a volume, until `clear`. */
  constructor(arena: IndexArena) {
    this.#index = new NeedleIndex(arena, new Int32Array(new SharedArrayBuffer(INDEX_STATE_WORDS * 4)))
    this.#loader = new IndexLoader(this.#index)
  }

  get count(): number {
    return this.#loader.liveCount
  }

  /** Throws `index_full`. */
  add({ keyHigh, keyLow, offsetUnits }: Key & { offsetUnits: number }): void {
    this.#loader.add(keyHigh, keyLow, offsetUnits, 0)
  }

  /** Whether the key's record there is one of them. */
  has({ keyHigh, keyLow, offsetUnits }: Key & { offsetUnits: number }): boolean {
    return this.#hasKey(keyHigh, keyLow) && this.#index.offsetUnits === offsetUnits
  }

  /** The key has another record now, or none. */
  remove({ keyHigh, keyLow }: Key): void {
    if (this.count > 0 && this.#hasKey(keyHigh, keyLow))
      this.#loader.add(keyHigh, keyLow, 0, IDX_SIZE_DELETED)
  }

  #hasKey(keyHigh: number, keyLow: number): boolean {
    return this.#index.get(keyHigh, keyLow) && !this.#index.deleted
  }

  clear(): void {
    this.#index.clear()
  }
}
