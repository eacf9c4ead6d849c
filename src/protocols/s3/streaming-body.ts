/**
 * Bodies in aws-chunked framing: a length in hex and maybe a signature before each piece, an empty piece at the end, and
 * maybe headers behind it. Pieces are given as windows on what arrived; each is hashed on its way, and a signature that
 * does not fit throws before the end is told, so nothing of it is kept.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
 */
import { createHash, type Hash } from 'node:crypto'
import { CHUNK_LINE_BYTES_MAX, CHUNK_TAIL_BYTES_MAX, SIGNED_CHUNK_BYTES_MIN } from '../../base/limits.ts'
import type { LentPiece } from '../../base/piece-buffers.ts'
import { sha256Hex } from './auth/hmac.ts'
import type { ChunkChain, ChunkedPayload } from './auth/payload.ts'
import { isSameText, wrongSignature } from './auth/sigv4.ts'
import { S3Error } from './s3-error.ts'

const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const SIGNATURE_CHARS = EMPTY_SHA256.length
const [CR, LF] = [13, 10]

/** Trailing headers by name in lower case, without the signature. */
export type Trailers = ReadonlyMap<string, string>

type State = 'chunk line' | 'data' | 'data end' | 'trailers' | 'done'

/** The decoder of one body. Push what arrives, in order, then `finish`. */
export class ChunkDecoder {
  readonly trailers = new Map<string, string>()
  readonly #payload: ChunkedPayload
  #state: State = 'chunk line'
  /** The beginning of a line whose end has not come. */
  #line: Buffer | undefined
  #decodedBytes = 0
  #chunkBytes = 0
  #chunkLeftBytes = 0
  #chunkNumber = 0
  #hash: Hash | undefined
  /** Of the chunk before; at first of the request's head. */
  #signature: string
  #chunkSignature = ''
  #trailerSignature: string | undefined
  /** Of all that came behind the last chunk. */
  #tailBytes = 0

  constructor(payload: ChunkedPayload) {
    this.#payload = payload
    this.#signature = payload.chain?.seed ?? ''
  }

  /** Gives the windows of data in `bytes` to `take`. Throws S3Error. */
  push(bytes: Buffer, take: (data: Buffer) => void): void {
    let at = 0
    if (this.#state === 'trailers' || this.#state === 'done') this.#addTail(bytes.length)
    while (at < bytes.length && this.#state !== 'done') {
      if (this.#state === 'data') {
        const end = Math.min(bytes.length, at + this.#chunkLeftBytes)
        const data = bytes.subarray(at, end)
        this.#hash?.update(data)
        this.#chunkLeftBytes -= data.length
        this.#decodedBytes += data.length
        if (this.#chunkLeftBytes === 0) this.#endChunk()
        take(data)
        at = end
        continue
      }
      const lineEnd = bytes.indexOf(LF, at)
      const rest = bytes.subarray(at, lineEnd < 0 ? bytes.length : lineEnd + 1)
      const line = this.#line === undefined ? rest : Buffer.concat([this.#line, rest])
      if (line.length > CHUNK_LINE_BYTES_MAX) throw cutOff()
      // The piece that it is in may be gone by the next call.
      this.#line = lineEnd < 0 ? Buffer.from(line) : undefined
      if (lineEnd < 0) return
      at = lineEnd + 1
      this.#takeLine(line)
    }
  }

  /** What is behind the headers is dropped, but not without end. */
  #addTail(lengthBytes: number): void {
    this.#tailBytes += lengthBytes
    if (this.#tailBytes > CHUNK_TAIL_BYTES_MAX) throw new S3Error('MalformedTrailerError')
  }

  /** No more comes. Throws S3Error unless all was there, and right. */
  finish(): void {
    const { decodedBytes, chain, hasTrailer, trailerNames } = this.#payload
    if (this.#line !== undefined && this.#line.length > 0) throw cutOff()
    // The empty line behind the last chunk may be missing.
    if (this.#state === 'trailers') this.#endTrailers()
    if (this.#state !== 'done') throw cutOff()
    if (this.#decodedBytes !== decodedBytes) throw wrongLength(this.#decodedBytes, decodedBytes)
    if (chain !== undefined && hasTrailer && trailerNames.length === 0) throw cutOff()
  }

  #takeLine(line: Buffer): void {
    const hasReturn = line.length >= 2 && line[line.length - 2] === CR
    // Clients end trailers as the text that they sign ends: with a line feed alone.
    if (!hasReturn && this.#state !== 'trailers') throw cutOff()
    const text = line.toString('latin1', 0, line.length - (hasReturn ? 2 : 1))
    switch (this.#state) {
      case 'chunk line':
        this.#beginChunk(text)
        break
      case 'data end':
        if (text !== '') throw cutOff()
        this.#state = 'chunk line'
        break
      default:
        if (text !== '') this.#addTrailer(text)
        else if (!this.#lacksSignature()) this.#endTrailers()
    }
  }

  #beginChunk(line: string): void {
    const semicolon = line.indexOf(';')
    const size = trimmed(semicolon < 0 ? line : line.slice(0, semicolon))
    if (!/^[0-9A-Fa-f]{1,12}$/.test(size)) throw cutOff()
    const before = this.#chunkBytes
    this.#chunkBytes = Number.parseInt(size, 16)
    this.#chunkNumber++
    const { chain, decodedBytes } = this.#payload
    if (chain !== undefined) {
      this.#chunkSignature = chunkSignatureOf(
        semicolon < 0 ? '' : line.slice(semicolon + 1),
        chain,
        this.#signature,
      )
      if (this.#chunkNumber > 1 && before < SIGNED_CHUNK_BYTES_MIN && this.#chunkBytes > 0)
        throw tooSmallChunk(before, this.#chunkNumber)
      this.#hash = createHash('sha256')
    }
    const total = this.#decodedBytes + this.#chunkBytes
    if (total > decodedBytes) throw wrongLength(total, decodedBytes)
    this.#chunkLeftBytes = this.#chunkBytes
    if (this.#chunkBytes > 0) {
      this.#state = 'data'
      return
    }
    this.#endChunk()
    if (this.#decodedBytes !== decodedBytes) throw wrongLength(this.#decodedBytes, decodedBytes)
    this.#state = 'trailers'
  }

  #endChunk(): void {
    this.#state = 'data end'
    const { chain } = this.#payload
    if (chain === undefined) return
    const digest = this.#chunkBytes === 0 ? EMPTY_SHA256 : this.#hash!.digest('hex')
    this.#hash = undefined
    const text = chunkText(chain, this.#signature, digest)
    assertSignature(chain, text, this.#chunkSignature)
    this.#signature = this.#chunkSignature
  }

  #addTrailer(line: string): void {
    const { chain, hasTrailer, trailerNames } = this.#payload
    const colon = line.indexOf(':')
    const name = trimmed(line.slice(0, Math.max(0, colon))).toLowerCase()
    const value = trimmed(line.slice(colon + 1))
    if (!hasTrailer || this.#trailerSignature !== undefined) throw new S3Error('MalformedTrailerError')
    if (chain !== undefined && name === 'x-amz-trailer-signature') {
      if (value === '') throw cutOff()
      this.#trailerSignature = value
    } else if (trailerNames.includes(name)) this.trailers.set(name, value)
    else throw new S3Error('MalformedTrailerError')
  }

  /** Then an empty line is not the end: some clients have one before the signature of the trailers. */
  #lacksSignature(): boolean {
    const { chain, hasTrailer } = this.#payload
    return chain !== undefined && hasTrailer && this.#trailerSignature === undefined
  }

  #endTrailers(): void {
    this.#state = 'done'
    const { chain, hasTrailer, trailerNames } = this.#payload
    if (this.#lacksSignature()) throw cutOff()
    if (trailerNames.some((name) => !this.trailers.has(name))) throw new S3Error('MalformedTrailerError')
    if (chain === undefined || !hasTrailer) return
    const text = trailerText(chain, this.#signature, this.trailers)
    assertSignature(chain, text, this.#trailerSignature!)
  }
}

/** Without spaces and tabs around it; nothing else is overlooked. */
function trimmed(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '')
}

/** Its signature must stand first and alone behind the length. */
function chunkSignatureOf(parameters: string, chain: ChunkChain, signature: string): string {
  const equals = parameters.indexOf('=')
  if (equals < 0) throw cutOff()
  if (trimmed(parameters.slice(0, equals)) !== 'chunk-signature') {
    const stringToSign = chunkText(chain, signature, EMPTY_SHA256)
    throw wrongSignature({ accessKey: chain.accessKey, signature: '', stringToSign, canonical: '' })
  }
  const given = trimmed(parameters.slice(equals + 1))
  if (given === '' || given.includes(';') || given.length > SIGNATURE_CHARS) throw cutOff()
  return given
}

function chunkText({ amzDate, scope }: ChunkChain, signature: string, sha256: string): string {
  return `AWS4-HMAC-SHA256-PAYLOAD\n${amzDate}\n${scope}\n${signature}\n${EMPTY_SHA256}\n${sha256}`
}

function trailerText({ amzDate, scope }: ChunkChain, signature: string, trailers: Trailers): string {
  const lines = [...trailers]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}:${value}\n`)
  const text = lines.length === 0 ? '\n' : lines.join('')
  return `AWS4-HMAC-SHA256-TRAILER\n${amzDate}\n${scope}\n${signature}\n${sha256Hex(text)}`
}

function assertSignature(chain: ChunkChain, stringToSign: string, signature: string): void {
  if (isSameText(chain.key.signHex(stringToSign), signature)) return
  throw wrongSignature({ accessKey: chain.accessKey, signature, stringToSign, canonical: '' })
}

function tooSmallChunk(sizeBytes: number, chunk: number): S3Error {
  return new S3Error('InvalidChunkSizeError', undefined, {
    extra: { Chunk: String(chunk), BadChunkSize: String(sizeBytes) },
  })
}

function cutOff(): S3Error {
  return new S3Error('IncompleteBody', 'The request body terminated unexpectedly')
}

function wrongLength(provided: number, expected: number): S3Error {
  return new S3Error('IncompleteBody', undefined, {
    extra: { NumberBytesProvided: String(provided), NumberBytesExpected: String(expected) },
  })
}

/** A body that is here, decoded at once. */
export function decodeChunked(bytes: Buffer, payload: ChunkedPayload): { data: Buffer; trailers: Trailers } {
  const decoder = new ChunkDecoder(payload)
  const windows: Buffer[] = []
  decoder.push(bytes, (data) => windows.push(data))
  decoder.finish()
  return { data: windows.length === 1 ? windows[0]! : Buffer.concat(windows), trailers: decoder.trailers }
}

/** A body that arrives, decoded as it does. The trailers are there when the last piece has been given. */
export async function* decodeArriving(
  pieces: AsyncIterable<LentPiece>,
  decoder: ChunkDecoder,
): AsyncGenerator<LentPiece> {
  const windows: Buffer[] = []
  for await (const piece of pieces) {
    decoder.push(piece, (data) => windows.push(data))
    const last: LentPiece | undefined = windows.at(-1)
    // Who gives the last part of a piece back has done with all of it.
    if (last === undefined) piece.giveBack?.()
    else last.giveBack = piece.giveBack
    yield* windows.splice(0)
  }
  decoder.finish()
}
