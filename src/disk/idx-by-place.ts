/**
 * The entries of a `.idx` in the order of their places in `.dat`, whatever their order in the file. Only those of one
 * stretch of `.dat` are in memory at a time: a first pass notes which parts of `.idx` speak of which places.
 */
import type { Disk } from './disk.ts'
import { decodeIdxEntry, IDX_ENTRY_BYTES, IDX_SIZE_DELETED, type IdxEntry } from './idx-entry.ts'

/** 16 MiB of `.dat`: at most half a million entries. */
const STRETCH_UNITS = (16 * 1024 * 1024) / 8
const PART_BYTES = 64 * 1024
const UNITS_END = 2 ** 32

export class IdxByPlace {
  readonly #disk: Disk
  readonly #handle: number
  readonly #bytes: number
  /** For each part of `.idx`: the first and last place of `.dat` that it speaks of. */
  readonly #firsts: number[] = []
  readonly #lasts: number[] = []
  readonly #buffer = Buffer.allocUnsafeSlow(PART_BYTES)
  #stretch: IdxEntry[] = []
  #cursor = 0
  #loadedUnits = 0

  /** `handle` -1 stands for an empty `.idx`. `visit` sees each entry in the file's own order. */
  constructor(disk: Disk, idx: { handle: number; entries: number }, visit: (entry: IdxEntry) => void) {
    this.#disk = disk
    this.#handle = idx.handle
    this.#bytes = idx.handle === -1 ? 0 : idx.entries * IDX_ENTRY_BYTES
    for (let start = 0; start < this.#bytes; start += PART_BYTES) {
      let [first, last] = [UNITS_END, -1]
      for (const entry of this.#part(start)) {
        visit(entry)
        if (isPlaceless(entry)) continue
        first = Math.min(first, entry.offsetUnits)
        last = Math.max(last, entry.offsetUnits)
      }
      this.#firsts.push(first)
      this.#lasts.push(last)
    }
  }

  /** The entry with the lowest place not yet taken, or undefined at the end. */
  peek(): IdxEntry | undefined {
    while (this.#cursor === this.#stretch.length) {
      if (this.#loadedUnits >= UNITS_END) return undefined
      this.#load()
    }
    return this.#stretch[this.#cursor]
  }

  take(): void {
    this.#cursor++
  }

  #load(): void {
    const from = this.#loadedUnits
    const to = from + STRETCH_UNITS
    this.#loadedUnits = to
    this.#stretch = []
    this.#cursor = 0
    let sorted = true
    for (let part = 0; part < this.#firsts.length; part++) {
      if ((this.#firsts[part] as number) >= to || (this.#lasts[part] as number) < from) continue
      for (const entry of this.#part(part * PART_BYTES)) {
        if (entry.offsetUnits < from || entry.offsetUnits >= to || isPlaceless(entry)) continue
        sorted &&= entry.offsetUnits >= (this.#stretch.at(-1)?.offsetUnits ?? 0)
        this.#stretch.push(entry)
      }
    }
    if (!sorted) this.#stretch.sort((a, b) => a.offsetUnits - b.offsetUnits)
  }

  *#part(start: number): Generator<IdxEntry> {
    const wanted = Math.min(PART_BYTES, this.#bytes - start)
    const count = this.#disk.readSync(this.#handle, this.#buffer, 0, wanted, start)
    for (let at = 0; at + IDX_ENTRY_BYTES <= count; at += IDX_ENTRY_BYTES) {
      yield decodeIdxEntry(this.#buffer, at)
    }
  }
}

/** SeaweedFS notes some deletions without a place. */
function isPlaceless(entry: IdxEntry): boolean {
  return entry.offsetUnits === 0 && entry.sizeBytes === IDX_SIZE_DELETED
}
