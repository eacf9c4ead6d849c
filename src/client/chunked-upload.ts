/** Large files as chunks, each a blob of its own, and a manifest that names them. Chunks go up several at a time. */
import { crc32c } from '../base/checksum.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import { UPLOAD_CHUNKS_AT_ONCE_MAX } from '../base/limits.ts'
import type { CairnClient, UploadOptions, UploadResult } from './cairn-client.ts'

export interface UploadedChunk {
  fid: string
  offset: number
  size: number
}

export interface ChunkedSource {
  sizeBytes: number
  /** The bytes from `start` up to, not including, `end`; may be asked for again. */
  open(start: number, end: number): AsyncIterable<Buffer>
}

export interface ChunkedOptions extends Omit<UploadOptions, 'sizeBytes' | 'gzipped' | 'manifest'> {
  chunkBytes: number
  /** Default and most UPLOAD_CHUNKS_AT_ONCE_MAX. */
  parallel?: number
  /** Chunks that are stored already, by an earlier try; those with wrong bounds or missing ones are uploaded anew. */
  known?: readonly UploadedChunk[]
  /** A chunk is stored. With it, chunks stay when the upload fails, for the next try; without it they are removed. */
  onChunk?: (chunk: UploadedChunk) => void | Promise<void>
  /** Bytes that have been read or were there already. */
  onBytes?: (count: number) => void
  /** Called when all chunks are stored; what it throws keeps the manifest from being written. */
  check?: () => Promise<void>
  signal?: AbortSignal
}

/**
 * Stores a file in chunks. Throws what `upload` throws, `corrupt` when the server has stored other bytes than were
 * sent, and `unavailable` when it was interrupted.
 */
export async function uploadChunked(
  client: CairnClient,
  source: ChunkedSource,
  options: ChunkedOptions,
): Promise<UploadResult> {
  const { chunkBytes, parallel = UPLOAD_CHUNKS_AT_ONCE_MAX, check, onChunk, name, mime } = options
  const count = Math.ceil(source.sizeBytes / chunkBytes)
  const chunks: UploadedChunk[] = []
  let next = 0
  let failure: unknown
  const worker = async () => {
    while (next < count && failure === undefined) {
      const offset = next++ * chunkBytes
      const bounds = { offset, size: Math.min(chunkBytes, source.sizeBytes - offset) }
      try {
        chunks.push(await putChunk(client, source, bounds, options))
      } catch (error) {
        failure ??= error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(parallel, UPLOAD_CHUNKS_AT_ONCE_MAX) }, worker))
  try {
    if (failure !== undefined) throw failure
    await check?.()
    chunks.sort((a, b) => a.offset - b.offset)
    const manifest = { name: name ?? '', mime: mime ?? '', size: source.sizeBytes, chunks }
    const { collection, replication, ttl, dataCenter, rack, dataNode, fsync, pairs, lastModifiedS } = options
    const upload = given({
      collection,
      replication,
      ttl,
      dataCenter,
      rack,
      dataNode,
      fsync,
      pairs,
      lastModifiedS,
      name,
      mime,
    })
    const stored = await client.upload(Buffer.from(JSON.stringify(manifest)), { ...upload, manifest: true })
    return { ...stored, sizeBytes: source.sizeBytes }
  } catch (error) {
    if (onChunk === undefined) await removeChunks(client, chunks)
    throw error
  }
}

async function putChunk(
  client: CairnClient,
  source: ChunkedSource,
  { offset, size }: { offset: number; size: number },
  options: ChunkedOptions,
): Promise<UploadedChunk> {
  if (options.signal?.aborted) throw new StoreError('unavailable', 'interrupted')
  const known = options.known?.find((chunk) => chunk.offset === offset && chunk.size === size)
  if (known !== undefined && (await isStored(client, known))) {
    options.onBytes?.(size)
    return known
  }
  let checksum = 0
  let counted = 0
  const content = async function* () {
    checksum = 0
    options.onBytes?.(-counted)
    counted = 0
    for await (const piece of source.open(offset, offset + size)) {
      checksum = crc32c(piece, checksum)
      counted += piece.length
      options.onBytes?.(piece.length)
      yield piece
    }
  }
  const { collection, replication, ttl, dataCenter, rack, dataNode, fsync } = options
  const place = given({ collection, replication, ttl, dataCenter, rack, dataNode, fsync })
  const { fid, eTag } = await client.upload(content, { ...place, sizeBytes: size })
  const chunk = { fid, offset, size }
  if (/^[0-9a-f]{8}$/.test(eTag) && Number.parseInt(eTag, 16) !== checksum) {
    await removeChunks(client, [chunk])
    throw new StoreError('corrupt', `chunk ${fid} was not stored as it was sent`)
  }
  await options.onChunk?.(chunk)
  return chunk
}

/** Without what is undefined: the client takes that for a value. */
function given(options: { [K in keyof UploadOptions]: UploadOptions[K] | undefined }): UploadOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

async function isStored(client: CairnClient, chunk: UploadedChunk): Promise<boolean> {
  try {
    const download = await client.download(chunk.fid, { range: { start: 0, end: 1 } })
    download.discard()
    return download.range?.totalBytes === chunk.size
  } catch (error) {
    const { code } = toStoreError(error)
    if (code === 'not_found' || code === 'volume_not_found' || code === 'corrupt') return false
    throw error
  }
}

/** Removes what can be removed. A chunk that stays behind takes room, and harms nobody. */
export async function removeChunks(client: CairnClient, chunks: readonly UploadedChunk[]): Promise<void> {
  for (const { fid } of chunks) await client.delete(fid).catch(() => undefined)
}
