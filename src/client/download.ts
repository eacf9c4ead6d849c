/** A file on its way from a volume server: its headers in plain words, its body verified and inflated. */
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { crc32c } from '../base/checksum.ts'
import { StoreError } from '../base/errors.ts'
import type { HttpReply } from '../net/http-client.ts'

export interface Download {
  fid: string
  url: string
  /** Length of what `body` will give, undefined where it is not known before (stored gzipped). */
  sizeBytes: number | undefined
  /** Where the part lies in the file, for a range. */
  range: { start: number; end: number; totalBytes: number } | undefined
  name: string | undefined
  mime: string | undefined
  eTag: string | undefined
  lastModified: string | undefined
  headers: HttpReply['headers']
  body: AsyncIterable<Buffer>
  /** Gives up an unread body. */
  discard(): void
}

export function toDownload(fid: string, url: string, reply: HttpReply, verify: boolean): Download {
  const { headers } = reply
  const gzipped = headers['content-encoding'] === 'gzip'
  const eTag = headers.etag?.replace(/^W\//, '').replaceAll('"', '')
  const whole = reply.status === 200
  // The ETag of one needle is the CRC32C of its stored bytes; that of a file in chunks is something else.
  const checkable =
    verify && whole && headers['x-file-store'] === undefined && /^[0-9a-f]{8}$/.test(eTag ?? '')
  const stored = checkable ? verified(reply.body, Number.parseInt(eTag!, 16), fid) : reply.body
  const length = headers['content-length']
  return {
    fid,
    url,
    sizeBytes: gzipped || length === undefined ? undefined : Number(length),
    range: whole ? undefined : parseContentRange(headers['content-range']),
    name: fileNameOf(headers['content-disposition']),
    mime: headers['content-type'],
    eTag,
    lastModified: headers['last-modified'],
    headers,
    body: gzipped ? inflated(stored, fid) : stored,
    discard: () => reply.discard(),
  }
}

async function* verified(body: AsyncIterable<Buffer>, checksum: number, fid: string): AsyncGenerator<Buffer> {
  let seen = 0
  for await (const piece of body) {
    seen = crc32c(piece, seen)
    yield piece
  }
  if (seen !== checksum) throw new StoreError('corrupt', `${fid}: the bytes do not match their checksum`)
}

async function* inflated(body: AsyncIterable<Buffer>, fid: string): AsyncGenerator<Buffer> {
  const gunzip = createGunzip()
  const source = Readable.from(body)
  source.on('error', (error) => gunzip.destroy(error))
  try {
    for await (const piece of source.pipe(gunzip)) yield piece as Buffer
  } catch (error) {
    if (error instanceof StoreError) throw error
    throw new StoreError('corrupt', `${fid}: the stored gzip cannot be inflated`, { cause: error })
  } finally {
    source.destroy()
  }
}

function parseContentRange(text: string | undefined): Download['range'] {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(text ?? '')
  if (match === null) return undefined
  return { start: Number(match[1]), end: Number(match[2]) + 1, totalBytes: Number(match[3]) }
}

/** The file name of a Content-Disposition header, quoted, bare or extended (RFC 6266); undefined without one. */
export function fileNameOf(header: string | undefined): string | undefined {
  if (header === undefined) return undefined
  const extended = /;\s*filename\*=utf-8''([^;]+)/i.exec(header)?.[1]
  if (extended !== undefined) {
    try {
      return decodeURIComponent(extended.trim())
    } catch {
      // Malformed escapes: the plain parameter decides.
    }
  }
  const quoted = /;\s*filename="((?:[^"\\]|\\.)*)"/i.exec(header)?.[1]
  const plain = quoted?.replace(/\\(.)/g, '$1') ?? /;\s*filename=([^;]+)/i.exec(header)?.[1]?.trim()
  if (plain === undefined || plain === '') return undefined
  // Node reads header bytes as latin1. Names are UTF-8, but some servers write what fits in latin1 as latin1.
  const utf8 = Buffer.from(plain, 'latin1').toString('utf8')
  return utf8.includes('\ufffd') ? plain : utf8
}
