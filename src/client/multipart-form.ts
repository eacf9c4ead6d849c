/** One file as a multipart/form-data body, from bytes or from a stream, as the volume servers take it. */
import { StoreError } from '../base/errors.ts'
import { MIME_BYTES_MAX, NAME_BYTES_MAX } from '../base/limits.ts'
import { systemRandom } from '../base/random.ts'

/** What can be stored: bytes, a stream of them, or a function that begins a new stream of the same bytes. */
export type UploadContent = Uint8Array | AsyncIterable<Uint8Array> | (() => AsyncIterable<Uint8Array>)

/** A body up to this size is copied into one buffer, to leave with one call. */
const JOIN_BYTES_MAX = 64 * 1024

export interface FormOptions {
  name: string | undefined
  mime: string | undefined
  /** Length of streamed content, where it is known. */
  sizeBytes: number | undefined
  gzipped: boolean | undefined
}

export class FormBody {
  readonly contentType: string
  /** Set once a try may have reached the disk. */
  doubtful = false
  readonly #content: UploadContent
  readonly #head: Buffer
  readonly #tail: Buffer
  readonly #sizeBytes: number | undefined
  #bytesRead = 0
  #opened = false

  /** Throws `too_large` or `bad_request` for a name or mime that no server takes. */
  constructor(content: UploadContent, options: FormOptions) {
    const { name = '', mime = '' } = options
    if (Buffer.byteLength(name) > NAME_BYTES_MAX)
      throw new StoreError('too_large', `name over ${NAME_BYTES_MAX} bytes`)
    if (Buffer.byteLength(mime) > MIME_BYTES_MAX)
      throw new StoreError('too_large', `mime over ${MIME_BYTES_MAX} bytes`)
    if (/[\r\n\0]/.test(name + mime))
      throw new StoreError('bad_request', 'a name or mime with a line break or NUL')
    const boundary = `cairn-${systemRandom.bytes(16).toString('hex')}`
    const quoted = name.replace(/[\\"]/g, '\\$&')
    const lines = [`--${boundary}`, `Content-Disposition: form-data; name="file"; filename="${quoted}"`]
    if (mime !== '') lines.push(`Content-Type: ${mime}`)
    if (options.gzipped) lines.push('Content-Encoding: gzip')
    this.contentType = `multipart/form-data; boundary=${boundary}`
    this.#content = content
    this.#head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)
    this.#tail = Buffer.from(`\r\n--${boundary}--\r\n`)
    this.#sizeBytes = content instanceof Uint8Array ? content.byteLength : options.sizeBytes
  }

  /** Length of the whole body; undefined when that of the content is not known. */
  get sizeBytes(): number | undefined {
    if (this.#sizeBytes === undefined) return undefined
    return this.#head.length + this.#sizeBytes + this.#tail.length
  }

  /** Length of the content: what was announced, or what was read so far. */
  get contentSizeBytes(): number {
    return this.#sizeBytes ?? this.#bytesRead
  }

  /** Whether `open` can give the same bytes once more. */
  get replayable(): boolean {
    return typeof this.#content === 'function' || this.#content instanceof Uint8Array || !this.#opened
  }

  /** The body, from its beginning. */
  open(): Uint8Array | AsyncIterable<Uint8Array> {
    this.#bytesRead = 0
    if (this.#content instanceof Uint8Array && this.#content.byteLength <= JOIN_BYTES_MAX) {
      return Buffer.concat([this.#head, this.#content, this.#tail])
    }
    return this.#pieces()
  }

  async *#pieces(): AsyncGenerator<Uint8Array> {
    this.#opened = true
    const content = typeof this.#content === 'function' ? this.#content() : this.#content
    yield this.#head
    for await (const piece of content instanceof Uint8Array ? [content] : content) {
      this.#bytesRead += piece.byteLength
      if (this.#sizeBytes !== undefined && this.#bytesRead > this.#sizeBytes) break
      yield piece
    }
    if (this.#sizeBytes !== undefined && this.#bytesRead !== this.#sizeBytes) {
      throw new StoreError(
        'bad_request',
        `the content is not the ${this.#sizeBytes} bytes that were announced`,
      )
    }
    yield this.#tail
  }
}
