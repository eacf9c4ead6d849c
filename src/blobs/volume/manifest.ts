/**
 * Chunk manifests: a needle whose data is JSON that lists the chunks of a larger file, each a blob of its own.
 * `{"name":"…","mime":"…","size":3000,"chunks":[{"fid":"3,01…","offset":0,"size":1000}, …]}`
 */
import { StoreError } from '../../base/errors.ts'
import { type Fid, parseFid } from '../../base/fid.ts'
import type { HeavyJobs } from '../../base/heavy-jobs.ts'
import { MANIFEST_BYTES_MAX, MANIFEST_CHUNKS_MAX } from '../../base/limits.ts'
import type { Needle } from '../../disk/needle.ts'
import type { Volume } from '../../disk/volume.ts'
import type { ByteSource } from '../../net/byte-source.ts'
import type { RemoteBlobs } from '../remote-blobs.ts'
import type { Elsewhere } from './elsewhere.ts'
import { inflateAtOnce, inflateUpTo } from './inflate.ts'
import { plainSource } from './plain-source.ts'
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
  /** Long gzipped manifests are inflated as some of them. */
  jobs: HeavyJobs
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
    const source = await plainSource(needle, reader.inflatedBytesMax)
    if (source.sizeBytes !== chunk.sizeBytes) throw wrongSize(chunk)
    yield* source.read(range.start, range.end)
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

/** The manifest that a needle is, which is not borrowed. Throws as `ofGzippedManifest`. Does not close `needle.large`. */
export async function storedManifest(needle: Needle, jobs: HeavyJobs): Promise<Manifest> {
  const { large, dataSizeBytes } = needle
  if (dataSizeBytes > MANIFEST_BYTES_MAX) throw manifestTooLarge()
  let stored = needle.data!
  if (large !== undefined) {
    stored = Buffer.allocUnsafeSlow(dataSizeBytes)
    await large.readInto(stored)
  }
  return needle.gzipped ? await ofGzippedManifest(stored, jobs, parseManifest) : parseManifest(stored)
}

/**
 * What `take` makes of the JSON of a gzipped manifest. Long ones are inflated only a few at a time, since each may be a
 * thousand times what came in or is stored. Throws `corrupt`, `too_large`, `too_many_requests`, and what `take` throws.
 */
export async function ofGzippedManifest<T>(
  gzip: Buffer,
  jobs: HeavyJobs,
  take: (json: Buffer) => T,
): Promise<T> {
  const short = inflateAtOnce(gzip, MANIFEST_BYTES_MAX)
  if (short !== undefined) return take(short)
  return await jobs.run(async () => {
    const json = await inflateUpTo(gzip, MANIFEST_BYTES_MAX)
    if (json === undefined) throw manifestTooLarge()
    return take(json)
  })
}

function manifestTooLarge(): StoreError {
  return new StoreError('too_large', `manifest over ${MANIFEST_BYTES_MAX} bytes`)
}
