/** Bodies that come in: at a least rate, gathered where they are small, and with their checksum. */
import { crc32c } from '../../base/checksum.ts'
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import { BODY_BYTES_PER_SECOND_MIN, HASHSTORE_WHOLE_BYTES_MAX, IDLE_TIMEOUT_MS } from '../../base/limits.ts'
import type { ByteStream } from '../../net/byte-stream.ts'
import type { BodyCheck, ObjectBody } from '../../objects/object-store.ts'
import { CRC_BYTES } from './wire.ts'

const MS_PER_S = 1000

export interface IncomingOptions {
  stream: ByteStream
  clock: Clock
  /** With a length, the checksum follows. Undefined: up to the end of the stream. */
  sizeBytes: number | undefined
}

export class IncomingBody {
  readonly #options: IncomingOptions
  readonly #startMs: number
  #crc = 0
  /** Bytes that came. */
  receivedBytes = 0
  /** What was announced has come, and the checksum behind it. */
  isComplete = false

  constructor(options: IncomingOptions) {
    this.#options = options
    this.#startMs = options.clock.monotonicMs()
  }

  /** For the store. Throws `incomplete_body` when the connection is cut, `digest_mismatch`, `timeout`. */
  async body(): Promise<ObjectBody> {
    const { sizeBytes, stream } = this.#options
    const first: Buffer[] = []
    if (sizeBytes === undefined || sizeBytes <= HASHSTORE_WHOLE_BYTES_MAX) {
      while (this.receivedBytes <= HASHSTORE_WHOLE_BYTES_MAX) {
        const piece = await this.#next()
        if (piece === undefined) {
          const whole = first.length === 1 ? first[0]! : Buffer.concat(first)
          return { sizeBytes: whole.length, whole, pieces: () => piecesOf([whole]) }
        }
        first.push(piece)
      }
    }
    stream.isBulk = true
    return { sizeBytes, pieces: () => piecesOf(first, () => this.#next()) }
  }

  /** Keeps the CRC32C of what came beside it. */
  readonly check: BodyCheck = {
    digests: [],
    verify: () => {
      const value = Buffer.alloc(CRC_BYTES)
      value.writeUInt32BE(this.#crc)
      return { checksum: { algorithm: 'CRC32C', type: 'FULL_OBJECT', value: value.toString('base64') } }
    },
  }

  /** Undefined at the end. */
  async #next(): Promise<Buffer | undefined> {
    const { stream, sizeBytes } = this.#options
    const left = sizeBytes === undefined ? Number.POSITIVE_INFINITY : sizeBytes - this.receivedBytes
    const piece = left === 0 ? undefined : await stream.some(left)
    if (piece !== undefined) {
      this.receivedBytes += piece.length
      this.#crc = crc32c(piece, this.#crc)
      this.#checkRate()
    } else {
      stream.isBulk = false
      if (sizeBytes !== undefined) await this.#verify(left)
    }
    return piece
  }

  async #verify(left: number): Promise<void> {
    if (left > 0) throw new StoreError('incomplete_body', 'the connection ended within a file')
    const sent = await this.#options.stream.take(CRC_BYTES)
    this.isComplete = true
    if (sent.readUInt32BE() !== this.#crc)
      throw new StoreError('digest_mismatch', 'what arrived has another CRC32C than was sent')
  }

  #checkRate(): void {
    const elapsedMs = this.#options.clock.monotonicMs() - this.#startMs
    if (elapsedMs > IDLE_TIMEOUT_MS && this.receivedBytes * MS_PER_S < BODY_BYTES_PER_SECOND_MIN * elapsedMs)
      throw new StoreError('timeout', 'a file came too slowly')
  }
}

async function* piecesOf(first: Buffer[], next?: () => Promise<Buffer | undefined>): AsyncGenerator<Buffer> {
  yield* first
  if (next === undefined) return
  for (let piece = await next(); piece !== undefined; piece = await next()) yield piece
}
