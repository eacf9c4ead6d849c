/** A sparse run of bytes in pages of 4 KiB that are shared between copies until one of them writes: a copy costs little. */

export const PAGE_BYTES = 4096

export class PagedBytes {
  sizeBytes = 0
  #pages = new Map<number, Buffer>()
  /** Pages that no copy shares, so that they may be changed in place. */
  #owned = new Set<number>()

  static from(bytes: Buffer): PagedBytes {
    const paged = new PagedBytes()
    paged.write(bytes, 0, bytes.length, 0)
    return paged
  }

  /** Bytes that the pages take; holes take none. */
  get allocatedBytes(): number {
    return this.#pages.size * PAGE_BYTES
  }

  clone(): PagedBytes {
    const copy = new PagedBytes()
    copy.sizeBytes = this.sizeBytes
    copy.#pages = new Map(this.#pages)
    this.#owned.clear()
    return copy
  }

  /** Reads what is there of `length` bytes; returns the count. */
  read(into: Buffer, intoOffset: number, length: number, position: number): number {
    const count = Math.max(0, Math.min(length, this.sizeBytes - position))
    for (let done = 0; done < count; ) {
      const [page, within] = place(position + done)
      const piece = Math.min(count - done, PAGE_BYTES - within)
      const bytes = this.#pages.get(page)
      const at = intoOffset + done
      if (bytes === undefined) into.fill(0, at, at + piece)
      else bytes.copy(into, at, within, within + piece)
      done += piece
    }
    return count
  }

  write(from: Buffer, fromOffset: number, length: number, position: number): void {
    for (let done = 0; done < length; ) {
      const [page, within] = place(position + done)
      const piece = Math.min(length - done, PAGE_BYTES - within)
      from.copy(this.#writable(page), within, fromOffset + done, fromOffset + done + piece)
      done += piece
    }
    if (length > 0) this.sizeBytes = Math.max(this.sizeBytes, position + length)
  }

  /** Zeroes the part of [start, end) that is inside the file; never changes the size. */
  zero(start: number, end: number): void {
    const stop = Math.min(end, this.sizeBytes)
    for (let at = start; at < stop; ) {
      const [page, within] = place(at)
      const piece = Math.min(stop - at, PAGE_BYTES - within)
      if (this.#pages.has(page)) this.#writable(page).fill(0, within, within + piece)
      at += piece
    }
  }

  truncate(sizeBytes: number): void {
    if (sizeBytes < this.sizeBytes) {
      this.zero(sizeBytes, Math.ceil(sizeBytes / PAGE_BYTES) * PAGE_BYTES)
      for (const page of this.#pages.keys()) if (page * PAGE_BYTES >= sizeBytes) this.#drop(page)
    }
    this.sizeBytes = sizeBytes
  }

  /** Bytes of new pages that a write to [position, position + length) would take. */
  newBytes(position: number, length: number): number {
    if (length === 0) return 0
    let count = 0
    const last = place(position + length - 1)[0]
    for (let page = place(position)[0]; page <= last; page++) if (!this.#pages.has(page)) count++
    return count * PAGE_BYTES
  }

  toBuffer(): Buffer {
    const bytes = Buffer.alloc(this.sizeBytes)
    this.read(bytes, 0, bytes.length, 0)
    return bytes
  }

  #drop(page: number): void {
    this.#pages.delete(page)
    this.#owned.delete(page)
  }

  #writable(page: number): Buffer {
    const present = this.#pages.get(page)
    if (present !== undefined && this.#owned.has(page)) return present
    const mine = Buffer.alloc(PAGE_BYTES)
    if (present !== undefined) present.copy(mine)
    this.#pages.set(page, mine)
    this.#owned.add(page)
    return mine
  }
}

function place(position: number): [page: number, within: number] {
  const page = Math.floor(position / PAGE_BYTES)
  return [page, position - page * PAGE_BYTES]
}
