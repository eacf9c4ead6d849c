/** DELETE of a file; of a chunked one its chunks first, so that none is ever left without its manifest. */
import { isErasure } from '../../base/erasure-id.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import type { Fid } from '../../base/fid.ts'
import type { Needle } from '../../disk/needle.ts'
import type { Volume } from '../../disk/volume.ts'
import { errorOutcome, jsonOutcome, type Outcome } from '../../net/reply.ts'
import { ERROR_CODE_HEADER } from '../cluster-wire.ts'
import { type ChunkReader, type Manifest, readOwned, storedManifest } from './manifest.ts'
import { type SyncMode, syncVolume } from './write.ts'

export interface RemoveRequest {
  fid: Fid
  sync: SyncMode
  fsync: boolean
  pretty: boolean
  /** Whether a manifest is removed without its chunks (`cm=false`). */
  keepChunks: boolean
}

/** Removes a file and answers. Throws or rejects with `read_only`, `disk_full`, `io_error`, `corrupt`, … */
export async function removeFile(request: RemoveRequest, chunks: ChunkReader): Promise<Outcome> {
  const { fid, pretty } = request
  const volume = chunks.volumes.get(fid.volumeId)
  if (volume === undefined) {
    chunks.volumes.assertComplete()
    const outcome = jsonOutcome(404, { size: 0 }, pretty)
    // It says nothing of the file: another server may have it.
    outcome.headers.push(ERROR_CODE_HEADER, 'volume_not_found')
    return outcome
  }
  const needle = await readForRemoval(volume, fid)
  let sizeBytes: number | undefined
  if (needle?.manifest && !request.keepChunks) {
    const manifest = await manifestOf(needle, chunks)
    await removeChunks(manifest, request, chunks)
    sizeBytes = manifest.sizeBytes
  } else {
    needle?.large?.close()
  }
  let removed: { sizeBytes: number } | undefined
  try {
    removed = volume.remove(fid)
  } catch (error) {
    if (error instanceof StoreError && error.code === 'cookie_mismatch') {
      return errorOutcome(400, 'File Random Cookie does not match.', pretty)
    }
    throw error
  }
  if (removed === undefined) return jsonOutcome(404, { size: 0 }, pretty)
  await syncVolume(volume, request)
  return jsonOutcome(202, { size: sizeBytes ?? removed.sizeBytes }, pretty)
}

/** What is to be removed, as far as it can still be read: damage must not keep a file from being deleted. */
async function readForRemoval(volume: Volume, fid: Fid): Promise<Needle | undefined> {
  try {
    return await readOwned(volume, fid)
  } catch (error) {
    const { code } = toStoreError(error)
    // A shard is no manifest, with more to remove.
    if (code === 'corrupt' || (code === 'io_error' && isErasure(fid.volumeId))) return undefined
    throw error
  }
}

async function manifestOf(needle: Needle, { jobs }: ChunkReader): Promise<Manifest> {
  try {
    return await storedManifest(needle, jobs)
  } finally {
    needle.large?.close()
  }
}

/** What is nowhere is gone. */
async function removeElsewhere(fid: Fid, remote: ChunkReader['remote']): Promise<void> {
  try {
    await remote.remove(fid)
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'volume_not_found')) throw error
  }
}

async function removeChunks(
  manifest: Manifest,
  request: RemoveRequest,
  { volumes, remote }: ChunkReader,
): Promise<void> {
  const touched = new Set<Volume>()
  for (const chunk of manifest.chunks) {
    const volume = volumes.get(chunk.fid.volumeId)
    if (volume === undefined) {
      await removeElsewhere(chunk.fid, remote)
    } else {
      volume.remove(chunk.fid)
      touched.add(volume)
    }
  }
  for (const volume of touched) await syncVolume(volume, request)
}
