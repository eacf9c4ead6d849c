/** All blobs of a cluster: those in one piece, and those in shards, told apart by the number of their volume. */
import { blobVolumeOf, isErasure } from '../base/erasure-id.ts'
import type {
  BlobId,
  BlobRangeOptions,
  BlobStore,
  BlobVolume,
  BlobWrite,
  ListedBlob,
  VerifiedBlob,
} from './blob-store.ts'
import { ErasureBlobs } from './erasure/erasure-blobs.ts'
import { LocalBlobStore, type LocalBlobStoreOptions } from './local-blob-store.ts'
import type { FindVolume } from './volume-locator.ts'

export interface RoutedBlobsOptions extends LocalBlobStoreOptions {
  find: FindVolume
}

export class RoutedBlobs implements BlobStore {
  readonly #plain: LocalBlobStore
  readonly #coded: ErasureBlobs

  constructor(options: RoutedBlobsOptions) {
    this.#plain = new LocalBlobStore(options)
    this.#coded = new ErasureBlobs(options)
  }

  write(blob: BlobWrite): Promise<BlobId> {
    const { redundancy = 'none', ttl = 0 } = blob
    // Volumes whose files expire do so each by itself, so their shards would go one after the other.
    if (redundancy === 'none' || ttl !== 0) return this.#plain.write(blob)
    return this.#coded.write(blob, redundancy)
  }

  read(id: BlobId, options: { deleted?: boolean } = {}): Buffer | Promise<Buffer> {
    return isErasure(id.volumeId) ? this.#coded.read(id, options) : this.#plain.read(id, options)
  }

  readRange(id: BlobId, start: number, end: number, options: BlobRangeOptions = {}): AsyncIterable<Buffer> {
    const store = isErasure(id.volumeId) ? this.#coded : this.#plain
    return store.readRange(id, start, end, options)
  }

  async remove(ids: readonly BlobId[]): Promise<void> {
    const coded = ids.filter((id) => isErasure(id.volumeId))
    if (coded.length < ids.length) await this.#plain.remove(ids.filter((id) => !isErasure(id.volumeId)))
    if (coded.length > 0) await this.#coded.remove(coded)
  }

  verify(id: BlobId, options: { repair: boolean }): Promise<VerifiedBlob> {
    return isErasure(id.volumeId) ? this.#coded.verify(id, options) : this.#plain.verify(id)
  }

  volumes(): Promise<BlobVolume[]> {
    return this.#plain.volumes()
  }

  /** A blob in shards is listed by each volume that has one. */
  list(volumeId: number, fromEntry: number, endEntry?: number): AsyncIterable<ListedBlob[]> {
    return this.#plain.list(volumeId, fromEntry, endEntry)
  }

  /** Where the shards of a blob can be read from now, by their index: `host:port`, or '' for this process. */
  locate(id: BlobId): Promise<Map<number, string>> {
    return this.#coded.locate({ ...id, volumeId: blobVolumeOf(id.volumeId) })
  }

  close(): void {
    this.#plain.close()
  }
}
