/**
 * The text protocol, as bytes come: command lines, and the data blocks that some of them announce. A block is gathered where
 * it shall lie; one that is refused is read past, so that what follows is understood.
 */
import { MEMCACHED_LINE_BYTES_MAX } from '../../base/limits.ts'

/** A command line in words. `data`: the block behind it; `bad`: it did not end where it was said to; `refused`: not kept. */
export interface Command {
  words: string[]
  data: Buffer | 'bad' | 'refused' | undefined
}

/** No command can be told any more: the connection is of no use. */
export type Broken = 'line' | 'binary'

/** Asked of each line: how many bytes of data follow, and whether they are wanted. */
export type DataOf = (words: readonly string[]) => { sizeBytes: number; keep: boolean } | undefined

const [CR, LF] = [13, 10]
/** The first byte of a request of the binary protocol. */
const BINARY_MAGIC = 0x80

interface Block {
  words: string[]
  /** With the line break behind the data. */
  sizeBytes: number
  received: number
  into: Buffer | undefined
}

export class Parser {
  readonly #dataOf: DataOf
  #rest: Buffer = Buffer.alloc(0)
  /** `#rest` lies in memory of the caller. */
  #isBorrowed = false
  #block: Block | undefined

  constructor(dataOf: DataOf) {
    this.#dataOf = dataOf
  }

  /** Follow it with `next` until that gives nothing, then with `keepRest`. */
  add(bytes: Buffer): void {
    this.#isBorrowed = this.#rest.length === 0
    this.#rest = this.#isBorrowed ? bytes : Buffer.concat([this.#rest, bytes])
  }

  /** Copies what is left of what was added: its memory is used for other things. */
  keepRest(): void {
    if (this.#isBorrowed && this.#rest.length > 0) this.#rest = Buffer.from(this.#rest)
    this.#isBorrowed = false
  }

  /** The next command; undefined: more bytes are needed. */
  next(): Command | Broken | undefined {
    if (this.#block !== undefined) return this.#fill(this.#block)
    if (this.#rest[0] === BINARY_MAGIC) return 'binary'
    const end = this.#rest.indexOf(LF)
    if (end > MEMCACHED_LINE_BYTES_MAX || (end < 0 && this.#rest.length > MEMCACHED_LINE_BYTES_MAX))
      return 'line'
    if (end < 0) return undefined
    const lineEnd = end > 0 && this.#rest[end - 1] === CR ? end - 1 : end
    // Keys are bytes: latin1 keeps each of them.
    const words = this.#rest
      .toString('latin1', 0, lineEnd)
      .split(' ')
      .filter((word) => word !== '')
    this.#rest = this.#rest.subarray(end + 1)
    const data = this.#dataOf(words)
    if (data === undefined) return { words, data: undefined }
    const sizeBytes = data.sizeBytes + 2
    const into = data.keep ? Buffer.allocUnsafeSlow(sizeBytes) : undefined
    this.#block = { words, sizeBytes, received: 0, into }
    return this.#fill(this.#block)
  }

  #fill(block: Block): Command | undefined {
    const count = Math.min(block.sizeBytes - block.received, this.#rest.length)
    block.into?.set(this.#rest.subarray(0, count), block.received)
    block.received += count
    this.#rest = this.#rest.subarray(count)
    if (block.received < block.sizeBytes) return undefined
    this.#block = undefined
    const { words, into, sizeBytes } = block
    if (into === undefined) return { words, data: 'refused' }
    const isWhole = into[sizeBytes - 2] === CR && into[sizeBytes - 1] === LF
    return { words, data: isWhole ? into.subarray(0, sizeBytes - 2) : 'bad' }
  }
}
