/**
 * The text protocol, as bytes come: command lines, and the data blocks that some of them announce. A block is gathered where
 * it shall lie; one that is refused is read past, so that what follows is understood.
 */
import { MEMCACHED_KEYS_LINE_BYTES_MAX, MEMCACHED_LINE_BYTES_MAX } from '../../base/limits.ts'

/** A command line in words. `data`: the block behind it; `bad`: it did not end where it was said to; `refused`: not kept. */
export interface Command {
  words: string[]
  data: Buffer | 'bad' | 'refused' | undefined
}

/** No command can be told any more: the connection is of no use. */
export type Broken = 'line' | 'binary'

/** Asked of each line: how many bytes of data follow, and whether they are wanted. */
export type DataOf = (words: readonly string[]) => { sizeBytes: number; keep: boolean } | undefined

/** A `set` as most are. */
export interface PlainSet {
  /** Of the bytes that were added, as the value is. */
  name: Buffer
  flags: number
  /** As the command has it. */
  exptime: number
  /** For who knows what that means. */
  expiresMs: number
  /** Of the bytes that were added: there until `keepRest`. */
  value: Buffer
  isSilent: boolean
}

const [CR, LF, SPACE, ZERO, NINE] = [13, 10, 32, 48, 57]
const [S, E, T, G] = [115, 101, 116, 103]
/** The first byte of a request of the binary protocol. */
const BINARY_MAGIC = 0x80
/** Numbers of more are looked at by those who know what they may be. */
const PLAIN_DIGITS_MAX = 9
/** Values up to this are put together again where packets cut them; others are gathered in memory of their own. */
const PLAIN_WAIT_BYTES_MAX = 4 * 1024
const NO_BYTES = Buffer.alloc(0)
/** How lines begin that may have many keys. */
const KEYS_LINE = /^g[ea]ts? /
const NOREPLY = Buffer.from(' noreply')

/** Of a PlainSet. */
export interface PlainLimits {
  keyBytesMax: number
  valueBytesMax: number
}

interface Block {
  words: string[]
  /** With the line break behind the data. */
  sizeBytes: number
  received: number
  into: Buffer | undefined
}

export class Parser {
  readonly #dataOf: DataOf
  readonly #limits: PlainLimits
  #bytes: Buffer = NO_BYTES
  /** Up to here they are dealt with. */
  #at = 0
  /** `#bytes` lies in memory of the caller. */
  #isBorrowed = false
  #block: Block | undefined

  constructor(dataOf: DataOf, limits: PlainLimits) {
    this.#dataOf = dataOf
    this.#limits = limits
  }

  /** All bytes that were added are dealt with. */
  get isEmpty(): boolean {
    return this.#at === this.#bytes.length
  }

  /** Follow it with `next` until that gives nothing, then with `keepRest`. */
  add(bytes: Buffer): void {
    this.#isBorrowed = this.isEmpty
    this.#bytes = this.#isBorrowed ? bytes : Buffer.concat([this.#bytes.subarray(this.#at), bytes])
    this.#at = 0
  }

  /** Copies what is left of what was added: its memory is used for other things. */
  keepRest(): void {
    if (!this.#isBorrowed) return
    this.#bytes = this.isEmpty ? NO_BYTES : Buffer.from(this.#bytes.subarray(this.#at))
    this.#at = 0
    this.#isBorrowed = false
  }

  /**
   * The next command, if it is a `set` as most are; `more`: it will be when the rest of it has come. Else it is one for `next`,
   * or there is none.
   */
  nextPlainSet(): PlainSet | 'more' | undefined {
    const [bytes, start] = [this.#bytes, this.#at]
    const isSet =
      bytes[start] === S && bytes[start + 1] === E && bytes[start + 2] === T && bytes[start + 3] === SPACE
    if (!isSet || this.#block !== undefined) return undefined
    const nameAt = start + 4
    const nameEnd = wordEnd(bytes, nameAt)
    let at = nameEnd
    if (nameEnd === nameAt || nameEnd - nameAt > this.#limits.keyBytesMax) return undefined
    const numbers = [0, 0, 0]
    for (let i = 0; i < numbers.length; i++) {
      if (bytes[at] !== SPACE) return undefined
      const end = digitsEnd(bytes, ++at)
      if (end === at || end - at > PLAIN_DIGITS_MAX) return undefined
      for (; at < end; at++) numbers[i] = numbers[i]! * 10 + bytes[at]! - ZERO
    }
    const [flags, exptime, sizeBytes] = numbers as [number, number, number]
    const isSilent = bytes[at] === SPACE
    if (isSilent && !NOREPLY.equals(bytes.subarray(at, at + NOREPLY.length))) return undefined
    if (isSilent) at += NOREPLY.length
    const valueAt = at + 2
    const valueEnd = valueAt + sizeBytes
    if (sizeBytes > this.#limits.valueBytesMax || !hasLineEnd(bytes, at)) return undefined
    if (valueEnd + 2 > bytes.length) return sizeBytes <= PLAIN_WAIT_BYTES_MAX ? 'more' : undefined
    if (!hasLineEnd(bytes, valueEnd)) return undefined
    this.#at = valueEnd + 2
    const name = bytes.subarray(nameAt, nameEnd)
    return { name, flags, exptime, expiresMs: 0, value: bytes.subarray(valueAt, valueEnd), isSilent }
  }

  /**
   * The key of the next command, if it is a `get` as most are: of one. Else it is one for `next`, or there is none. It lies in the
   * bytes that were added.
   */
  nextPlainGet(): Buffer | undefined {
    const [bytes, start] = [this.#bytes, this.#at]
    const isGet =
      bytes[start] === G && bytes[start + 1] === E && bytes[start + 2] === T && bytes[start + 3] === SPACE
    if (!isGet || this.#block !== undefined) return undefined
    const keyAt = start + 4
    const end = wordEnd(bytes, keyAt)
    if (end === keyAt || end - keyAt > this.#limits.keyBytesMax || !hasLineEnd(bytes, end)) return undefined
    this.#at = end + 2
    return bytes.subarray(keyAt, end)
  }

  /** The next command; undefined: more bytes are needed. */
  next(): Command | Broken | undefined {
    if (this.#block !== undefined) return this.#fill(this.#block)
    const [bytes, start] = [this.#bytes, this.#at]
    if (bytes[start] === BINARY_MAGIC) return 'binary'
    const end = bytes.indexOf(LF, start)
    const lineBytes = (end < 0 ? bytes.length : end) - start
    if (lineBytes > MEMCACHED_LINE_BYTES_MAX) {
      if (
        lineBytes > MEMCACHED_KEYS_LINE_BYTES_MAX ||
        !KEYS_LINE.test(bytes.toString('latin1', start, start + 5))
      )
        return 'line'
    }
    if (end < 0) return undefined
    const lineEnd = end > start && bytes[end - 1] === CR ? end - 1 : end
    // Keys are bytes: latin1 keeps each of them.
    const words = bytes
      .toString('latin1', start, lineEnd)
      .split(' ')
      .filter((word) => word !== '')
    this.#at = end + 1
    const data = this.#dataOf(words)
    if (data === undefined) return { words, data: undefined }
    const sizeBytes = data.sizeBytes + 2
    const into = data.keep ? Buffer.allocUnsafeSlow(sizeBytes) : undefined
    this.#block = { words, sizeBytes, received: 0, into }
    return this.#fill(this.#block)
  }

  #fill(block: Block): Command | undefined {
    const count = Math.min(block.sizeBytes - block.received, this.#bytes.length - this.#at)
    block.into?.set(this.#bytes.subarray(this.#at, this.#at + count), block.received)
    block.received += count
    this.#at += count
    if (block.received < block.sizeBytes) return undefined
    this.#block = undefined
    const { words, into, sizeBytes } = block
    if (into === undefined) return { words, data: 'refused' }
    return { words, data: hasLineEnd(into, sizeBytes - 2) ? into.subarray(0, sizeBytes - 2) : 'bad' }
  }
}

/** Of a word of other bytes than control characters. */
function wordEnd(bytes: Buffer, at: number): number {
  while (bytes[at]! > SPACE) at++
  return at
}

function digitsEnd(bytes: Buffer, at: number): number {
  while (bytes[at]! >= ZERO && bytes[at]! <= NINE) at++
  return at
}

function hasLineEnd(bytes: Buffer, at: number): boolean {
  return bytes[at] === CR && bytes[at + 1] === LF
}
