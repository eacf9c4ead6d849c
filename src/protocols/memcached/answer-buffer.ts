/** Where answers are put together, one behind the other, to leave in one write. Its memory is used again and again. */

/** What a name has, where it lies. */
export interface ValuePlace {
  flags: number
  bytes: Buffer
  /** Of the value, in `bytes`. */
  start: number
  end: number
}

const ANSWER_BYTES = 64 * 1024
/** Of a line `VALUE`, beside the key: the word, two numbers of up to ten digits, spaces and ends of lines; and `END`. */
const AROUND_VALUE_BYTES = 48
const VALUE = Buffer.from('VALUE ')
const VALUE_END = Buffer.from('\r\nEND\r\n')
const [CR, LF, SPACE, ZERO] = [13, 10, 32, 48]

export class AnswerBuffer {
  #bytes = Buffer.allocUnsafeSlow(ANSWER_BYTES)
  #usedBytes = 0
  /** What was taken last: many answers have one length. */
  #taken = this.#bytes.subarray(0, 0)

  get isEmpty(): boolean {
    return this.#usedBytes === 0
  }

  /** False: there is no room. */
  add(answer: Buffer): boolean {
    if (this.#usedBytes + answer.length > ANSWER_BYTES) return false
    this.#bytes.set(answer, this.#usedBytes)
    this.#usedBytes += answer.length
    return true
  }

  /** The whole answer to the `get` of a key that has this. False: there is no room. */
  addValue(key: Buffer, { flags, bytes: from, start, end }: ValuePlace): boolean {
    const valueBytes = end - start
    if (this.#usedBytes + key.length + valueBytes + AROUND_VALUE_BYTES > ANSWER_BYTES) return false
    const bytes = this.#bytes
    let at = copied(VALUE, bytes, this.#usedBytes)
    at = copied(key, bytes, at)
    bytes[at++] = SPACE
    at = writeNumber(flags, bytes, at)
    bytes[at++] = SPACE
    at = writeNumber(valueBytes, bytes, at)
    bytes[at++] = CR
    bytes[at++] = LF
    from.copy(bytes, at, start, end)
    this.#usedBytes = copied(VALUE_END, bytes, at + valueBytes)
    return true
  }

  /** What was added, and is empty again: it is there until more is added. */
  take(): Buffer {
    if (this.#taken.length !== this.#usedBytes) this.#taken = this.#bytes.subarray(0, this.#usedBytes)
    this.#usedBytes = 0
    return this.#taken
  }

  /** What was taken last stays in use: it goes on with other memory. */
  leaveMemory(): void {
    this.#bytes = Buffer.allocUnsafeSlow(ANSWER_BYTES)
    this.#taken = this.#bytes.subarray(0, 0)
  }
}

/** Few bytes; gives where they end. */
function copied(bytes: Buffer, into: Buffer, at: number): number {
  for (let i = 0; i < bytes.length; i++) into[at + i] = bytes[i]!
  return at + bytes.length
}

/** In decimal; gives where it ends. */
function writeNumber(value: number, into: Buffer, at: number): number {
  let digits = 1
  for (let limit = 10; value >= limit; limit *= 10) digits++
  let rest = value
  for (let i = at + digits - 1; i >= at; i--) {
    into[i] = ZERO + (rest % 10)
    rest = Math.floor(rest / 10)
  }
  return at + digits
}
