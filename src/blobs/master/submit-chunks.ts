/** `/submit` of a large file: it is stored in chunks while it comes, and a manifest is stored at the end. */
import { createHash } from 'node:crypto'
import { StoreError } from '../../base/errors.ts'
import { ERROR_REPLY_BYTES_MAX, SUBMIT_FILE_BYTES_MAX } from '../../base/limits.ts'
import { openFormStream } from '../../net/form-stream.ts'
import { formBoundary } from '../../net/multipart.ts'
import type { Outcome } from '../../net/reply.ts'
import { jsonOutcome } from '../../net/reply.ts'
import { type Placed, place, type Submission, type SubmitContext } from './submit.ts'

export interface LargeSubmission extends Omit<Submission, 'body'> {
  body: AsyncIterable<Buffer>
  chunkBytes: number
}

interface Chunk {
  fid: string
  offset: number
  size: number
}

/** As `submit`. One chunk is in memory at a time, and what comes while it is sent waits in the connection. */
export async function submitInChunks(context: SubmitContext, submission: LargeSubmission): Promise<Outcome> {
  const boundary = formBoundary(submission.contentType)
  if (boundary === undefined) throw new StoreError('bad_request', 'Content-Type must be multipart/form-data')
  const { part, data } = await openFormStream(submission.body, boundary)
  if (part.contentEncoding !== undefined)
    throw new StoreError('bad_request', 'a file with a Content-Encoding is too large to be cut into chunks')
  const stored: Placed[] = []
  const chunks: Chunk[] = []
  const md5 = createHash('md5')
  const wantedMd5 = part.contentMd5 ?? submission.headers['content-md5']
  try {
    let offset = 0
    for await (const body of inChunks(data, submission.chunkBytes)) {
      if (offset + body.length > SUBMIT_FILE_BYTES_MAX)
        throw new StoreError('too_large', `file over the limit of ${SUBMIT_FILE_BYTES_MAX} bytes`)
      if (wantedMd5 !== undefined) md5.update(body)
      const placed = await place(context, chunkOf(submission, body))
      if (placed.outcome !== undefined) {
        await removeAll(context, stored)
        return placed.outcome
      }
      stored.push(placed)
      chunks.push({ fid: placed.fid, offset, size: body.length })
      offset += body.length
    }
    if (wantedMd5 !== undefined && md5.digest('base64') !== wantedMd5)
      throw new StoreError('bad_request', 'Content-MD5 did not match md5 of file data')
    const name = part.filename?.split('/').at(-1) ?? ''
    const manifest = { name: utf8(name), mime: utf8(part.contentType ?? ''), size: offset, chunks }
    const placed = await place(context, manifestOf(submission, manifest, name))
    if (placed.outcome !== undefined) {
      await removeAll(context, stored)
      return placed.outcome
    }
    const { eTag, fid, fileUrl } = placed
    return jsonOutcome(201, { eTag, fid, fileName: manifest.name, fileUrl, size: offset }, submission.pretty)
  } catch (error) {
    await removeAll(context, stored)
    throw error
  }
}

/** What only the whole file has stays away from its chunks. */
function chunkOf(submission: LargeSubmission, body: Buffer): Submission {
  const { authorization } = submission.headers
  const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
  return { ...submission, headers, contentType: 'application/octet-stream', body }
}

function manifestOf(submission: LargeSubmission, manifest: object, name: string): Submission {
  const { 'content-md5': _, ...headers } = submission.headers
  headers['content-disposition'] = `attachment; filename="${name.replace(/[\\"]/g, '\\$&')}"`
  const body = Buffer.from(JSON.stringify(manifest))
  return { ...submission, headers, contentType: 'application/json', body, isManifest: true }
}

async function* inChunks(data: AsyncIterable<Buffer>, chunkBytes: number): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = []
  let length = 0
  for await (let piece of data) {
    while (length + piece.length >= chunkBytes) {
      const taken = chunkBytes - length
      yield Buffer.concat([...pieces, piece.subarray(0, taken)])
      piece = piece.subarray(taken)
      pieces = []
      length = 0
    }
    if (piece.length > 0) pieces.push(piece)
    length += piece.length
  }
  if (length > 0) yield Buffer.concat(pieces)
}

async function removeAll({ http, writeToken }: SubmitContext, stored: readonly Placed[]): Promise<void> {
  for (const { url, fid } of stored) {
    const token = writeToken(fid)
    const query = token === undefined ? '' : `?jwt=${encodeURIComponent(token)}`
    try {
      const reply = await http.request({ method: 'DELETE', url: `${url}${query}` })
      await reply.bytes(ERROR_REPLY_BYTES_MAX)
    } catch {
      // A chunk that stays behind takes room, and harms nobody.
    }
  }
}

function utf8(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString('utf8')
}
