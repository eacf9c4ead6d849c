/** Replies of memcached's text protocol, as bytes come: lines, and the blocks that lines of values announce. */
import { StoreError } from '../base/errors.ts'
import { MEMCACHED_LINE_BYTES_MAX } from '../base/limits.ts'

export interface MemcachedValue {
  flags: number
  /** Owned by the receiver. */
  value: Buffer
  /** What `cas` needs; empty where the request did not ask for it. */
  unique: string
}

/** A line without its end, or a value. */
export type ReplyPart = string | MemcachedValue

interface Block {
  found: MemcachedValue
  filled: number
  /** With the line end behind the value. */
  bytes: Buffer
}

export class MemcachedReplies {
  readonly #valueBytesMax: number
  #rest: Buffer = Buffer.alloc(0)
  #block: Block | undefined

  constructor(valueBytesMax: number) {
    this.#valueBytesMax = valueBytesMax
  }

  add(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
  }

  /** The next part; undefined: more bytes are needed. Throws `io_error` for what is no reply. */
  next(): ReplyPart | undefined {
    if (this.#block !== undefined) return this.#fill(this.#block)
    const end = this.#rest.indexOf('\r\n', 0, 'latin1')
    if (end > MEMCACHED_LINE_BYTES_MAX || (end < 0 && this.#rest.length > MEMCACHED_LINE_BYTES_MAX))
      throw malformed('a line without an end')
    if (end < 0) return undefined
    const line = this.#rest.toString('latin1', 0, end)
    this.#rest = this.#rest.subarray(end + 2)
    if (!line.startsWith('VALUE ')) return line
    const [, , flags = '', size = '', unique = ''] = line.split(' ')
    const [sizeBytes, flagBits] = [Number(size), Number(flags)]
    if (!/^\d+$/.test(size) || !/^\d+$/.test(flags) || sizeBytes > this.#valueBytesMax)
      throw malformed(`the line ${JSON.stringify(line.slice(0, 300))}`)
    const bytes = Buffer.allocUnsafeSlow(sizeBytes + 2)
    this.#block = {
      found: { flags: flagBits, value: bytes.subarray(0, sizeBytes), unique },
      filled: 0,
      bytes,
    }
    return this.#fill(this.#block)
  }

  #fill(block: Block): MemcachedValue | undefined {
    const count = this.#rest.copy(block.bytes, block.filled)
    block.filled += count
    this.#rest = this.#rest.subarray(count)
    if (block.filled < block.bytes.length) return undefined
    this.#block = undefined
    const { bytes, found } = block
    if (bytes.toString('latin1', bytes.length - 2) !== '\r\n') throw malformed('a value without an end')
    return found
  }
}

function malformed(what: string): StoreError {
  return new StoreError('io_error', `not a reply of memcached's protocol: ${what}`)
}
