/** Reads records that are to be copied: those that lie near each other by one read. */
import type { Disk } from './disk.ts'

const INPUT_BYTES = 256 * 1024
const GAP_BYTES_MAX = 8 * 1024

/** Where a record lies: in units of 8 bytes, and its whole length in bytes. */
export interface RecordPlace {
  offsetUnits: number
  lengthBytes: number
}

export class RecordsInput {
  readonly #disk: Disk
  readonly #handle: number
  readonly #input = Buffer.allocUnsafeSlow(INPUT_BYTES)
  /** What of the file is in it. */
  #start = 0
  #end = 0
  /** Before it records are read one by one. */
  #aloneUntil = 0
  #places: readonly RecordPlace[] = []

  constructor(disk: Disk, handle: number) {
    this.#disk = disk
    this.#handle = handle
  }

  /** Those that `record` is asked for from now on: by now they are written, which what lies between them need not be. */
  begin(places: readonly RecordPlace[]): void {
    this.#places = places
    this.#end = this.#start
  }

  /** The record with that number, zeros where the file ends. Valid until the next one is asked for. Throws the disk's error. */
  record(at: number): Buffer {
    const { offsetUnits, lengthBytes } = this.#places[at]!
    const start = offsetUnits * 8
    if (lengthBytes > INPUT_BYTES) return this.#read(Buffer.allocUnsafe(lengthBytes), start)
    if (start < this.#start || start + lengthBytes > this.#end) {
      this.#start = start
      // A read that fails leaves nothing.
      this.#end = start
      this.#end = this.#readNear(at)
    }
    return this.#input.subarray(start - this.#start, start - this.#start + lengthBytes)
  }

  /** The record and those near behind it; alone where the disk cannot read all of it, which may be for what lies between. */
  #readNear(at: number): number {
    const { offsetUnits, lengthBytes } = this.#places[at]!
    const start = offsetUnits * 8
    const endAlone = start + lengthBytes
    const end = start < this.#aloneUntil ? endAlone : this.#endOfNear(at)
    try {
      this.#read(this.#input.subarray(0, end - start), start)
      return end
    } catch (error) {
      if (end === endAlone) throw error
      this.#aloneUntil = end
      this.#read(this.#input.subarray(0, lengthBytes), start)
      return endAlone
    }
  }

  #endOfNear(first: number): number {
    const { offsetUnits, lengthBytes } = this.#places[first]!
    const start = offsetUnits * 8
    let end = start + lengthBytes
    for (let at = first + 1; at < this.#places.length; at++) {
      const next = this.#places[at]!
      const nextStart = next.offsetUnits * 8
      const nextEnd = nextStart + next.lengthBytes
      if (nextStart < end || nextStart > end + GAP_BYTES_MAX || nextEnd > start + INPUT_BYTES) break
      end = nextEnd
    }
    return end
  }

  #read(into: Buffer, start: number): Buffer {
    const count = this.#disk.readSync(this.#handle, into, 0, into.length, start)
    return count < into.length ? into.fill(0, count) : into
  }
}
