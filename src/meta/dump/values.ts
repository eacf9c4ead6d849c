/**
 * Rows in a dump's bytes, big-endian. A value is a tag and what follows it: 0 null; 1 an integer, as a float of 64 bits; 2 a text and
 * 3 bytes, each after its length of 32 bits.
 */
import { StoreError } from '../../base/errors.ts'
import type { Row, SqlValue } from '../meta-store.ts'

const FIRST_BYTES = 64 * 1024

/** Bytes that grow. */
export class RowWriter {
  #buffer = Buffer.allocUnsafeSlow(FIRST_BYTES)
  #used = 0

  value(value: SqlValue): void {
    if (value === null) this.#tag(0, 0)
    else if (typeof value === 'number') {
      this.#tag(1, 8)
      this.#used = this.#buffer.writeDoubleBE(value, this.#used)
    } else if (typeof value === 'string') {
      const length = Buffer.byteLength(value)
      this.#tag(2, 4 + length)
      this.#used = this.#buffer.writeUInt32BE(length, this.#used)
      this.#used += this.#buffer.write(value, this.#used)
    } else {
      this.#tag(3, 4 + value.length)
      this.#used = this.#buffer.writeUInt32BE(value.length, this.#used)
      this.#buffer.set(value, this.#used)
      this.#used += value.length
    }
  }

  /** What was written since the last call; the caller's own. */
  take(): Buffer {
    const bytes = Buffer.from(this.#buffer.subarray(0, this.#used))
    this.#used = 0
    return bytes
  }

  #tag(tag: number, length: number): void {
    const needed = this.#used + 1 + length
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#buffer.length))
      this.#buffer.copy(larger, 0, 0, this.#used)
      this.#buffer = larger
    }
    this.#buffer[this.#used++] = tag
  }
}

export function writeRow(writer: RowWriter, row: Row, columns: readonly { name: string }[]): void {
  for (const { name } of columns) writer.value(row[name]!)
}

/** All values of a block, one row after the other. Bytes are views of it. */
export function readValues(block: Buffer): SqlValue[] {
  const values: SqlValue[] = []
  let at = 0
  const part = (length: number) => {
    if (at + length > block.length) throw new StoreError('corrupt', 'a row of the dump ends in the middle')
    at += length
    return block.subarray(at - length, at)
  }
  while (at < block.length) {
    const tag = part(1)[0]
    if (tag === 0) values.push(null)
    else if (tag === 1) values.push(part(8).readDoubleBE())
    else if (tag === 2) values.push(part(part(4).readUInt32BE()).toString())
    else if (tag === 3) values.push(part(part(4).readUInt32BE()))
    else throw new StoreError('corrupt', `the dump has a value of kind ${tag}`)
  }
  return values
}
