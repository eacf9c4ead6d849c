/** File ids of a benchmark, 16 bytes each, in memory that all load threads share. */
import { assert } from '../base/assert.ts'
import { type Fid, formatFid, parseFid } from '../base/fid.ts'

const WORDS = 4

export class FidTable {
  readonly shared: SharedArrayBuffer
  readonly #words: Uint32Array

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared
    this.#words = new Uint32Array(shared)
  }

  /** An empty table with room for `count` ids. */
  static ofSize(count: number): FidTable {
    return new FidTable(new SharedArrayBuffer(count * WORDS * 4))
  }

  static fromTexts(texts: readonly string[]): FidTable {
    const table = FidTable.ofSize(texts.length)
    for (const [at, text] of texts.entries()) table.set(at, parseFid(text))
    return table
  }

  get length(): number {
    return this.#words.length / WORDS
  }

  set(at: number, fid: Fid): void {
    assert(at >= 0 && at < this.length, 'a place in the table')
    assert(fid.volumeId > 0, 'volume 0 marks an empty place')
    this.#words[at * WORDS] = fid.volumeId
    this.#words[at * WORDS + 1] = fid.keyHigh
    this.#words[at * WORDS + 2] = fid.keyLow
    this.#words[at * WORDS + 3] = fid.cookie
  }

  /** The id at a place; `volumeId` is 0 where there is none. */
  get(at: number): Fid {
    return {
      volumeId: this.#words[at * WORDS]!,
      keyHigh: this.#words[at * WORDS + 1]!,
      keyLow: this.#words[at * WORDS + 2]!,
      cookie: this.#words[at * WORDS + 3]!,
    }
  }

  /** A table of only the places that hold an id. */
  compacted(): FidTable {
    let count = 0
    for (let at = 0; at < this.length; at++) if (this.#words[at * WORDS] !== 0) count++
    const table = FidTable.ofSize(count)
    let to = 0
    for (let at = 0; at < this.length; at++) if (this.#words[at * WORDS] !== 0) table.set(to++, this.get(at))
    return table
  }

  *texts(): Generator<string> {
    for (let at = 0; at < this.length; at++) if (this.#words[at * WORDS] !== 0) yield formatFid(this.get(at))
  }
}
