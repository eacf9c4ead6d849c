/**
 * Chunk manifests: a needle whose data is JSON that lists the chunks of a larger file, each a blob of its own.
 * `{"name":"…","mime":"…","size":3000,"chunks":[{"fid":"3,01…","offset":0,"size":1000}, …]}`
 */
import { StoreError } from '../../base/errors.ts'
import { type Fid, parseFid } from '../../base/fid.ts'
import { MANIFEST_CHUNKS_MAX } from '../../base/limits.ts'
import type { Needle } from '../../disk/needle.ts'
import type { Volume } from '../../disk/volume.ts'
import type { ByteSource } from '../../net/byte-source.ts'
import type { RemoteBlobs } from '../remote-blobs.ts'
import type { Elsewhere } from './elsewhere.ts'
import { inflate } from './inflate.ts'
import type { VolumesView } from './read-request.ts'

export interface Chunk {
  fid: Fid
  fidText: string
  offset: number
  sizeBytes: number
}

export interface Manifest {
  name: string
  mime: string
  sizeBytes: number
  /** In order of offset, without gaps or overlaps. */
  chunks: Chunk[]
}

/** Parses and checks a manifest. Throws `corrupt` with the reason. */
export function parseManifest(json: Buffer): Manifest {
  let value: unknown
  try {
    value = JSON.parse(json.toString('utf8'))
  } catch (error) {
    throw new StoreError('corrupt', 'the chunk manifest is not JSON', { cause: error })
  }
  const { name, mime, size, chunks } = (value ?? {}) as Record<string, unknown>
  if (!Array.isArray(chunks) || chunks.length > MANIFEST_CHUNKS_MAX) throw bad('chunks')
  const parsed = chunks.map(parseChunk).sort((a, b) => a.offset - b.offset)
  let end = 0
  for (const chunk of parsed) {
    if (chunk.offset !== end) throw bad('offsets')
    end += chunk.sizeBytes
  }
  if (size !== undefined && size !== end) throw bad('size')
  return { name: text(name), mime: text(mime), sizeBytes: end, chunks: parsed }
}

function parseChunk(value: unknown): Chunk {
  const { fid, offset = 0, size } = (value ?? {}) as Record<string, unknown>
  if (typeof fid !== 'string' || !isLength(offset) || !isLength(size)) throw bad('chunks')
  try {
    return { fid: parseFid(fid), fidText: fid, offset, sizeBytes: size }
  } catch (error) {
    throw new StoreError('corrupt', `chunk manifest: ${(error as Error).message}`, { cause: error })
  }
}

function isLength(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function bad(what: string): StoreError {
  return new StoreError('corrupt', `the chunk manifest has wrong ${what}`)
}

export interface ChunkReader {
  volumes: VolumesView
  remote: RemoteBlobs
  /** Without one, files of volumes that are not here are missing. */
  elsewhere?: Elsewhere
  inflatedBytesMax: number
}

/** The chunks as one file. */
export function manifestSource(manifest: Manifest, reader: ChunkReader): ByteSource {
  return {
    sizeBytes: manifest.sizeBytes,
    whole: undefined,
    async *read(start, end) {
      for (const chunk of manifest.chunks) {
        const from = Math.max(start, chunk.offset)
        const to = Math.min(end, chunk.offset + chunk.sizeBytes)
        if (from >= to) continue
        const range = { start: from - chunk.offset, end: to - chunk.offset }
        if (reader.volumes.get(chunk.fid.volumeId) === undefined) {
          yield* reader.remote.read(chunk.fid, range, { sizeBytes: chunk.sizeBytes })
        } else {
          yield* readLocalChunk(chunk, range, reader)
        }
      }
    },
    close() {},
  }
}

async function* readLocalChunk(
  chunk: Chunk,
  range: { start: number; end: number },
  reader: ChunkReader,
): AsyncGenerator<Buffer, void, undefined> {
  const volume = reader.volumes.get(chunk.fid.volumeId)
  const needle = volume && (await readOwned(volume, chunk.fid))
  if (needle === undefined) throw new StoreError('corrupt', `chunk ${chunk.fidText} is missing`)
  try {
    if (needle.large !== undefined && !needle.gzipped) {
      if (needle.dataSizeBytes !== chunk.sizeBytes) throw wrongSize(chunk)
      yield* needle.large.read(range.start, range.end)
      return
    }
    const data = await plainData(needle, reader.inflatedBytesMax)
    if (data.length !== chunk.sizeBytes) throw wrongSize(chunk)
    yield data.subarray(range.start, range.end)
  } finally {
    needle.large?.close()
  }
}

/** Reads a needle whose data stays valid while others are read: a lent buffer would not survive the first wait. */
export async function readOwned(volume: Volume, fid: Fid): Promise<Needle | undefined> {
  const found = volume.read(fid)
  if (found instanceof Promise) return await found
  if (found?.borrowed) {
    found.data = Buffer.from(found.data!)
    found.borrowed = false
  }
  return found
}

function wrongSize(chunk: Chunk): StoreError {
  return new StoreError('corrupt', `chunk ${chunk.fidText} is not as long as its manifest says`)
}

/** The stored bytes of a needle that is not borrowed, in one buffer. Does not close `needle.large`. */
export async function storedData(needle: Needle, bytesMax: number): Promise<Buffer> {
  if (needle.dataSizeBytes > bytesMax) throw new StoreError('too_large', `the file is over ${bytesMax} bytes`)
  if (needle.large === undefined) return needle.data!
  const whole = Buffer.allocUnsafeSlow(needle.dataSizeBytes)
  let filled = 0
  for await (const piece of needle.large.read(0, needle.dataSizeBytes)) filled += piece.copy(whole, filled)
  return whole
}

/** As `storedData`, inflated when it is gzip. */
export async function plainData(needle: Needle, bytesMax: number): Promise<Buffer> {
  const stored = await storedData(needle, bytesMax)
  return needle.gzipped ? inflate(stored, bytesMax) : stored
}
