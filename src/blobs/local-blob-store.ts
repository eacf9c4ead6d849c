/**
 * Blobs on volumes: those of this machine are read and written directly, on the thread that asks; the others over HTTP,
 * from and to the volume server that has them. A process without volumes uses the same class with an empty set.
 */
import { packCarriedBlob } from '../base/carried-blob.ts'
import type { Clock } from '../base/clock.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import { type Fid, formatFid } from '../base/fid.ts'
import { BLOB_REMOVES_AT_ONCE_MAX, BLOB_WRITE_ATTEMPTS_MAX, CARRIED_BLOB_BYTES_MAX } from '../base/limits.ts'
import type { Random } from '../base/random.ts'
import { notSynced } from '../base/unsynced.ts'
import { bytesNeedle, type Needle } from '../disk/needle.ts'
import type { Volume } from '../disk/volume.ts'
import { listVolume } from '../disk/volume-listing.ts'
import { STATE, WORD } from '../disk/volume-table.ts'
import {
  type BlobId,
  type BlobStore,
  type BlobVolume,
  type BlobWrite,
  blobBytes,
  type ListedBlob,
  type VerifiedBlob,
} from './blob-store.ts'
import { listedBlobs } from './erasure/listed-blobs.ts'
import { type AssignKeys, type BlobPlace, IdLeases } from './id-lease.ts'
import { type LocalVolumes, localBlobVolumes } from './local-volumes.ts'
import type { RemoteBlobs } from './remote-blobs.ts'
import type { RemoteListing } from './remote-listing.ts'
import { type SyncMode, syncVolume } from './volume/write.ts'

export interface LocalBlobStoreOptions {
  volumes: LocalVolumes
  remote: RemoteBlobs
  listing: Pick<RemoteListing, 'volumes' | 'list'>
  assign: AssignKeys
  sync: SyncMode
  clock: Clock
  random: Random
  /** Default BLOB_LEASE_COUNT. */
  leaseCount?: number
}

/** What a failed write says of its volume: another one may take the blob. */
const ANOTHER_MAY_TAKE_IT: ReadonlySet<string> = new Set([
  'read_only',
  'volume_full',
  'volume_not_found',
  'not_found',
  'cookie_mismatch',
  'disk_full',
  'index_full',
  'io_error',
  'unavailable',
  'timeout',
  'too_many_requests',
])

const DELETED_TOO = { readDeleted: true }

export class LocalBlobStore implements BlobStore {
  readonly #options: LocalBlobStoreOptions
  readonly #leases: IdLeases

  constructor(options: LocalBlobStoreOptions) {
    this.#options = options
    this.#leases = new IdLeases(options)
  }

  /**
   * A write that failed half way, such as by a server that did not answer, may leave a blob that nobody knows: an orphan.
   */
  async write(blob: BlobWrite): Promise<BlobId> {
    let mayTryAgain = true
    const onWritten = () => {
      if (blob.onWritten === undefined) return
      mayTryAgain = false
      blob.onWritten()
    }
    for (let attempt = 1; ; attempt++) {
      const taken = this.#leases.take({ collection: blob.collection, ttl: blob.ttl ?? 0, redundancy: 'none' })
      const place = taken instanceof Promise ? await taken : taken
      try {
        await this.#writeAt(place, blob, onWritten)
        return place.fid
      } catch (error) {
        const failure = toStoreError(error)
        if (!ANOTHER_MAY_TAKE_IT.has(failure.code)) throw failure
        this.#leases.refuse(place.fid.volumeId)
        if (!mayTryAgain) throw notSynced(failure)
        if (attempt === BLOB_WRITE_ATTEMPTS_MAX) throw failure
      }
    }
  }

  async #writeAt({ fid, url }: BlobPlace, blob: BlobWrite, onWritten: () => void): Promise<void> {
    const { volumes, remote, sync } = this.#options
    const data = blobBytes(blob, fid)
    const volume = volumes.get(fid.volumeId)
    if (volume === undefined) return await remote.write(fid, { url, data, fsync: sync !== 'none' })
    if (isAtItsLimit(volume)) throw new StoreError('volume_full', `volume ${volume.id} is full`)
    const before = volume.sync.coveredGeneration
    const written = volume.write(bytesNeedle(fid, data))
    if (written instanceof Promise) await written
    onWritten()
    if (blob.onUnsynced === undefined || sync !== 'batch') {
      await syncVolume(volume, { sync, fsync: false })
      return
    }
    const isCovered = before !== undefined && before === volume.sync.coveredGeneration
    const durable = () => volume.durable().catch((error) => Promise.reject(notSynced(error)))
    const carried = data.length <= CARRIED_BLOB_BYTES_MAX ? packCarriedBlob({ ...fid, data }) : undefined
    blob.onUnsynced({ volumeId: volume.id, isCovered, carried, durable })
  }

  read(id: BlobId, options: { deleted?: boolean } = {}): Buffer | Promise<Buffer> {
    const volume = this.#options.volumes.get(id.volumeId)
    if (volume === undefined) return this.#readElsewhere(id, options)
    const found = volume.read(id, options.deleted === true ? DELETED_TOO : undefined)
    if (found === undefined) return this.#readMissed(id, volume, options)
    if (found instanceof Promise) return this.#readLater(found, id, { volume, ...options })
    return found.borrowed ? Buffer.from(found.data!) : found.data!
  }

  async #readLater(
    reading: Promise<Needle | undefined>,
    id: BlobId,
    options: { volume: Volume; deleted?: boolean },
  ): Promise<Buffer> {
    const found = await reading
    if (found === undefined) return await this.#readMissed(id, options.volume, options)
    const { large } = found
    if (large === undefined) return found.data!
    try {
      const whole = Buffer.allocUnsafeSlow(found.dataSizeBytes)
      let filled = 0
      for await (const piece of large.read(0, found.dataSizeBytes)) filled += piece.copy(whole, filled)
      return whole
    } finally {
      large.close()
    }
  }

  /** It is not in a volume that was here: unless that has just moved away, it is nowhere. */
  #readMissed(id: BlobId, volume: Volume, options: { deleted?: boolean }): Promise<Buffer> {
    if (this.#isStillHere(volume)) throw notFound(id)
    return this.#readElsewhere(id, options)
  }

  #isStillHere(volume: Volume): boolean {
    return this.#options.volumes.get(volume.id) === volume && volume.slot.get(WORD.state) === STATE.active
  }

  async #readElsewhere(id: BlobId, options: { deleted?: boolean }): Promise<Buffer> {
    try {
      return await this.#options.remote.readWhole(id, options)
    } catch (error) {
      throw this.#elsewhereFailed(error)
    }
  }

  /** That no server has a volume now does not say that its blobs are gone. */
  #elsewhereFailed(error: unknown): StoreError {
    const failure = toStoreError(error)
    if (failure.code !== 'volume_not_found') return failure
    this.#options.volumes.assertComplete()
    return new StoreError('unavailable', failure.message, { cause: failure })
  }

  async *readRange(
    id: BlobId,
    start: number,
    end: number,
    options: { deleted?: boolean } = {},
  ): AsyncGenerator<Buffer, void, undefined> {
    const volume = this.#options.volumes.get(id.volumeId)
    const reading = volume?.read(id, options.deleted === true ? DELETED_TOO : undefined)
    const found = reading instanceof Promise ? await reading : reading
    if (found === undefined) {
      if (volume !== undefined && this.#isStillHere(volume)) throw notFound(id)
      yield* this.#rangeElsewhere(id, { start, end }, options)
      return
    }
    const { large } = found
    try {
      if (end > found.dataSizeBytes)
        throw new StoreError('corrupt', `blob of ${found.dataSizeBytes} bytes, not ${end}`)
      if (large !== undefined) yield* large.read(start, end)
      else
        yield found.borrowed
          ? Buffer.from(found.data!.subarray(start, end))
          : found.data!.subarray(start, end)
    } finally {
      large?.close()
    }
  }

  async *#rangeElsewhere(
    id: BlobId,
    range: { start: number; end: number },
    options: { deleted?: boolean },
  ): AsyncGenerator<Buffer, void, undefined> {
    try {
      yield* this.#options.remote.read(id, range, options)
    } catch (error) {
      throw this.#elsewhereFailed(error)
    }
  }

  async remove(ids: readonly BlobId[]): Promise<void> {
    const { volumes, sync } = this.#options
    const touched = new Set<Volume>()
    const elsewhere: BlobId[] = []
    for (const id of ids) {
      const volume = volumes.get(id.volumeId)
      if (volume === undefined || !this.#removeHere(volume, id)) elsewhere.push(id)
      else touched.add(volume)
    }
    // Also where nothing was left to remove: an earlier call may not have been durable.
    await Promise.all([...touched].map((volume) => syncVolume(volume, { sync, fsync: false })))
    for (let at = 0; at < elsewhere.length; at += BLOB_REMOVES_AT_ONCE_MAX) {
      const group = elsewhere.slice(at, at + BLOB_REMOVES_AT_ONCE_MAX)
      await Promise.all(group.map((id) => this.#removeElsewhere(id)))
    }
  }

  /** False when the volume has moved away. */
  #removeHere(volume: Volume, id: BlobId): boolean {
    try {
      volume.remove(id)
      return true
    } catch (error) {
      const { code } = toStoreError(error)
      // With another cookie it is another blob: this one is gone.
      if (code === 'cookie_mismatch') return true
      if (code === 'volume_not_found') return false
      throw error
    }
  }

  async #removeElsewhere(id: BlobId): Promise<void> {
    try {
      await this.#options.remote.remove(id)
    } catch (error) {
      throw this.#elsewhereFailed(error)
    }
  }

  async verify(id: BlobId): Promise<VerifiedBlob> {
    return { sizeBytes: (await this.read(id)).length, shardsLost: 0 }
  }

  async volumes(): Promise<BlobVolume[]> {
    const { volumes, listing } = this.#options
    return [...localBlobVolumes(volumes), ...(await listing.volumes())]
  }

  list(volumeId: number, fromEntry: number, endEntry?: number): AsyncIterable<ListedBlob[]> {
    const volume = this.#options.volumes.get(volumeId)
    return volume === undefined
      ? this.#options.listing.list(volumeId, fromEntry, endEntry)
      : listHere(volume, fromEntry, endEntry)
  }

  close(): void {}
}

async function* listHere(volume: Volume, fromEntry: number, endEntry?: number): AsyncGenerator<ListedBlob[]> {
  for await (const needles of listVolume(volume, fromEntry, endEntry)) yield listedBlobs(needles)
}

/** Its master gives out no more ids of it, and those that were given out can be used elsewhere. */
function isAtItsLimit({ slot }: Volume): boolean {
  return slot.get(WORD.tailUnits) >= slot.get(WORD.sizeLimitUnits)
}

function notFound(id: Fid): StoreError {
  return new StoreError('not_found', `there is no blob ${formatFid(id)}`)
}
