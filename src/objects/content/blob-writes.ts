/** Blobs on their way to the store, encrypted where there is a key. Memory for large encrypted ones is used again and again. */
import { BLOB_BYTES_MAX, SMALL_RECORD_BYTES_MAX } from '../../base/limits.ts'
import { type LentPiece, PieceBuffers } from '../../base/piece-buffers.ts'
import type { BlobId, BlobStore, BlobTarget, BlobWrite } from '../../blobs/blob-store.ts'
import type { DataKey } from '../object-keys.ts'
import { sealBlob, sealedLength } from './sealed-blob.ts'

/** Kept when nobody uses them: enough for one upload at full speed. */
const FREE_BUFFERS_MAX = 4

export interface NewBlob {
  data: Buffer
  target: BlobTarget
  dataKey: DataKey | undefined
  /** As of `BlobWrite`. */
  onWritten?: () => void
  onUnsynced?: BlobWrite['onUnsynced']
}

export class BlobWrites {
  readonly #blobs: BlobStore
  readonly #buffers = new PieceBuffers(BLOB_BYTES_MAX, FREE_BUFFERS_MAX)

  constructor(blobs: BlobStore) {
    this.#blobs = blobs
  }

  /** Throws as `BlobStore.write`. */
  write({ data, target, dataKey, onWritten, onUnsynced }: NewBlob): Promise<BlobId> {
    const { collection, ttl, redundancy } = target
    const blob = { data, collection, ttl, redundancy, onWritten, onUnsynced }
    return dataKey === undefined ? this.#blobs.write(blob) : this.#writeSealed(blob, dataKey)
  }

  async #writeSealed(blob: BlobWrite & { data: Buffer }, dataKey: DataKey): Promise<BlobId> {
    const { data } = blob
    let memory: LentPiece | undefined
    const seal = (id: BlobId) => {
      memory = this.#memory(sealedLength(data.length))
      return sealBlob(dataKey.blobKey(id), data, memory)
    }
    const id = await this.#blobs.write({ ...blob, data: seal })
    // That of an attempt which failed may still be in use somewhere.
    memory?.giveBack?.()
    return id
  }

  #memory(sizeBytes: number): LentPiece {
    if (sizeBytes <= SMALL_RECORD_BYTES_MAX) return Buffer.allocUnsafeSlow(sizeBytes)
    return this.#buffers.lend(this.#buffers.take(), 0, sizeBytes)
  }
}
