/** One large local file into the store, in chunks, resumed where an earlier try ended. */
import { createReadStream, type Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { StoreError } from '../base/errors.ts'
import type { CairnClient, UploadOptions, UploadResult } from '../client/cairn-client.ts'
import { removeChunks, type UploadedChunk, uploadChunked } from '../client/chunked-upload.ts'
import { fileIdentity, UploadState } from './upload-state.ts'

const READ_BYTES = 1 << 18

export interface LargeFileOptions {
  chunkBytes: number
  /** Where the notes for resuming are; `target` tells stores and ways to store apart. */
  notes: { directory: string; target: string }
  onBytes: (count: number) => void
  signal: AbortSignal
}

/** Throws what `uploadChunked` throws, and `conflict` when the file changed meanwhile: then nothing of it stays. */
export async function uploadLargeFile(
  client: CairnClient,
  file: { path: string; info: Stats },
  upload: UploadOptions,
  options: LargeFileOptions,
): Promise<UploadResult> {
  const { path, info } = file
  const { chunkBytes, onBytes, signal } = options
  const identity = { path: resolve(path), target: JSON.stringify([options.notes.target, chunkBytes]) }
  // Chunks that expire at different times would be no file.
  const state =
    upload.ttl === undefined ? UploadState.open(options.notes.directory, identity, info) : undefined
  if (state !== undefined) await removeChunks(client, state.stale)
  const stored: UploadedChunk[] = []
  const check = async () => {
    if (fileIdentity(await stat(path)) === fileIdentity(info)) return
    await removeChunks(client, [...(state?.known ?? []), ...stored])
    state?.close()
    throw new StoreError('conflict', 'the file changed while it was uploaded')
  }
  const onChunk = (chunk: UploadedChunk) => {
    stored.push(chunk)
    state?.add(chunk)
  }
  const { sizeBytes: _, ...rest } = upload
  const result = await uploadChunked(
    client,
    {
      sizeBytes: info.size,
      open: (start, end) => createReadStream(path, { start, end: end - 1, highWaterMark: READ_BYTES }),
    },
    {
      ...rest,
      chunkBytes,
      check,
      onBytes,
      signal,
      ...(state === undefined ? {} : { known: state.known, onChunk }),
    },
  )
  state?.close()
  return result
}
