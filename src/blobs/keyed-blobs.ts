/**
 * Blobs under keys that their writer chooses, on volumes of this machine that nobody else writes to. A key's blob is replaced
 * where it lies as long as its volume takes writes; then it moves on to another one, and for a moment there are two.
 */
import { StoreError, toStoreError } from '../base/errors.ts'
import type { Fid } from '../base/fid.ts'
import { KEYED_ASSIGN_ATTEMPTS_MAX } from '../base/limits.ts'
import { bytesNeedle, type Needle, type NeedleWrite } from '../disk/needle.ts'
import type { Volume } from '../disk/volume.ts'
import { storedCookie } from '../disk/volume-keys.ts'
import { listVolume } from '../disk/volume-listing.ts'
import { FLAG, WORD } from '../disk/volume-table.ts'
import type { AssignKeys } from './id-lease.ts'
import type { LocalVolumes } from './local-volumes.ts'
import { type SyncMode, syncVolume } from './volume/write.ts'

/** Collections that begin so have keys that no master has given out, and that say nothing about those it may give out. */
export const KEYED_COLLECTION_PREFIX = '_keyed_'

export interface BlobKey {
  keyHigh: number
  keyLow: number
}

export interface NewBlob {
  key: BlobKey
  data: Buffer
}

/** One blob of a key, and where it is. */
export interface KeyedBlob {
  volumeId: number
  /** Owned by the caller. */
  data: Buffer
}

export interface KeyedBlobsOptions {
  volumes: LocalVolumes
  /** Makes the master name, and if need be make, a volume of the collection. */
  assign: AssignKeys
  sync: SyncMode
  /** Begins with KEYED_COLLECTION_PREFIX. */
  collection: string
}

/** They tell nobody anything, as keys are not shown; one value for all lets a key be written again. */
const COOKIE = 0x6b657973
/** Records above that of a volume take time. */
const AT_ONCE_BYTES_MAX = 1000 * 1024
/** A listing begins anew when its volume was compacted. */
const LISTINGS_MAX = 16
const DONE = Promise.resolve()

export class KeyedBlobs {
  readonly #options: KeyedBlobsOptions
  #lastVolumeId = 0

  constructor(options: KeyedBlobsOptions) {
    this.#options = options
  }

  /**
   * All blobs of a key: none, one, or two for a moment. At once where they are small and near.
   * Throws `corrupt`, `io_error`; also when a volume that may have it is not there.
   */
  find(key: BlobKey): KeyedBlob[] | Promise<KeyedBlob[]> {
    const blobs: KeyedBlob[] = []
    const later: Promise<void>[] = []
    for (const volume of this.#volumes()) {
      const found = volume.read(fidOf(volume, key))
      if (found === undefined) continue
      if (found instanceof Promise) {
        const added = found.then((needle) => addTo(blobs, volume, needle))
        // Nobody waits for it where the next volume throws.
        added.catch(() => {})
        later.push(added)
      } else
        blobs.push({ volumeId: volume.id, data: found.borrowed ? Buffer.from(found.data!) : found.data! })
    }
    if (later.length > 0) return Promise.all(later).then(() => blobs)
    if (blobs.length === 0) this.#options.volumes.assertComplete()
    return blobs
  }

  /**
   * Writes a key's blob, in the volume that has it if that is possible; gives the volume that it is in now. It is on disk
   * after `durable`. Throws `no_writable_volume`, `disk_full`, `too_large`, `io_error`, `unavailable`, `timeout`.
   */
  async write(key: BlobKey, data: Buffer, presentIn?: number): Promise<number> {
    const refused = new Set<number>()
    let failure: StoreError | undefined
    for (let attempt = 0; attempt < KEYED_ASSIGN_ATTEMPTS_MAX; attempt++) {
      const chosen = this.#choose(refused, presentIn)
      // The next volume might be made on the disk that has become full just now.
      if (chosen === undefined && failure?.code === 'disk_full') break
      const volume = chosen ?? (await this.#newVolume(refused))
      if (volume === undefined) continue
      try {
        await volume.write(needleOf(key, data))
        if (volume.id !== presentIn) this.#lastVolumeId = volume.id
        return volume.id
      } catch (error) {
        failure = toStoreError(error)
        if (!OTHERS_MAY_TAKE_IT.has(failure.code)) throw failure
        refused.add(volume.id)
      }
    }
    throw (
      failure ?? new StoreError('no_writable_volume', 'no volume of this machine takes blobs by their keys')
    )
  }

  /**
   * As `write`, at once; undefined where something must be waited for, and then nothing was done. `presentIn` as there: the
   * key has a blob in no other volume. Throws as `write`.
   */
  writeNow(key: BlobKey, data: Buffer, presentIn: number | undefined): number | undefined {
    if (data.length > AT_ONCE_BYTES_MAX) return undefined
    const volume = this.#options.volumes.get(presentIn ?? this.#lastVolumeId)
    if (volume === undefined || !takesWrites(volume)) return undefined
    try {
      void volume.write(needleOf(key, data))
      return volume.id
    } catch (error) {
      const failure = toStoreError(error)
      if (OTHERS_MAY_TAKE_IT.has(failure.code)) return undefined
      throw failure
    }
  }

  /**
   * As `writeNow` for blobs of one volume, by one write: each key has its blob there, or nowhere. Gives how many of the first were
   * written; what kept the others will be said by `write`.
   */
  writeManyNow(blobs: readonly NewBlob[], volumeId: number): number {
    const volume = this.#options.volumes.get(volumeId)
    if (volume === undefined || !takesWrites(volume)) return 0
    try {
      return volume.writeMany(blobs.map(({ key, data }) => needleOf(key, data)))
    } catch (error) {
      if (error instanceof StoreError) return 0
      throw error
    }
  }

  /** Where the blob of a key that has none is written; 0 before there is such a volume. */
  get lastVolumeId(): number {
    return this.#lastVolumeId
  }

  /** Whether a volume is still here. */
  has(volumeId: number): boolean {
    return this.#options.volumes.get(volumeId) !== undefined
  }

  /** Removes a key's blob from one volume. False when it was not there. Throws `read_only`, `disk_full`, `io_error`. */
  remove(key: BlobKey, volumeId: number): boolean {
    const volume = this.#options.volumes.get(volumeId)
    return volume?.remove(fidOf(volume, key)) !== undefined
  }

  /** The volumes that have a blob of the key, whatever it is worth. Throws `volume_not_found`, `io_error`. */
  holders(key: BlobKey): number[] {
    const holders = this.#volumes().filter((volume) => storedCookie(volume, key) !== undefined)
    return holders.map(({ id }) => id)
  }

  /** Resolves when all that was written to or removed from the volume before is as durable as is asked for. */
  durable(volumeId: number): Promise<void> {
    const volume = this.#options.volumes.get(volumeId)
    if (volume === undefined) return Promise.reject(new StoreError('io_error', `volume ${volumeId} has gone`))
    return syncVolume(volume, { sync: this.#options.sync, fsync: false }) ?? DONE
  }

  /** Whether `durable` waits for a sync that is shared by all who wait. */
  get sharesSyncs(): boolean {
    return this.#options.sync === 'batch'
  }

  /**
   * Has `write` called when the next sync of the volume is about to begin, and one begin soon: what is written then is covered
   * by it. False where nothing is synced so or the volume has gone, and then it is not called. `write` does not throw.
   */
  beforeSync(volumeId: number, write: () => void): boolean {
    const volume = this.#options.volumes.get(volumeId)
    if (volume === undefined || !this.sharesSyncs) return false
    volume.sync.beforeNext(write)
    return true
  }

  /**
   * All keys, in batches; those that come or go meanwhile may be missing, and any may be doubled. Throws `io_error`, and `conflict`
   * where a volume is compacted again and again.
   */
  async *keys(): AsyncGenerator<BlobKey[]> {
    for (const volume of this.#volumes()) yield* keysOf(volume)
  }

  /** Blobs that are there, and the bytes of the files that they are in. */
  usage(): { blobs: number; bytes: number } {
    const usage = { blobs: 0, bytes: 0 }
    for (const { slot } of this.#volumes()) {
      usage.blobs += slot.get(WORD.putCount) - slot.get(WORD.deleteCount)
      usage.bytes += slot.get(WORD.tailUnits) * 8
    }
    return usage
  }

  #volumes(): Volume[] {
    const { volumes, collection } = this.#options
    return volumes.list().filter((each) => each.collection === collection)
  }

  /** One that takes writes: that which has the key, that which was written to last, or any. */
  #choose(refused: ReadonlySet<number>, presentIn: number | undefined): Volume | undefined {
    let chosen: Volume | undefined
    for (const volume of this.#volumes()) {
      const { id } = volume
      if (refused.has(id) || !takesWrites(volume)) continue
      if (id === presentIn) return volume
      if (chosen === undefined || id === this.#lastVolumeId) chosen = volume
    }
    return chosen
  }

  async #newVolume(refused: ReadonlySet<number>): Promise<Volume | undefined> {
    const { assign, collection, volumes } = this.#options
    const { volumeId } = await assign({ collection, ttl: 0, count: 1 })
    return refused.has(volumeId) ? undefined : volumes.get(volumeId)
  }
}

const OTHERS_MAY_TAKE_IT: ReadonlySet<string> = new Set([
  'read_only',
  'volume_full',
  'volume_not_found',
  'cookie_mismatch',
  'io_error',
  'disk_full',
])

function takesWrites({ slot }: Volume): boolean {
  if (slot.get(WORD.tailUnits) >= slot.get(WORD.sizeLimitUnits)) return false
  return (slot.get(WORD.flags) & (FLAG.readOnly | FLAG.failed | FLAG.diskFull)) === 0
}

async function* keysOf(volume: Volume): AsyncGenerator<BlobKey[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      for await (const batch of listVolume(volume, 0)) yield batch.map(({ id }) => id)
      return
    } catch (error) {
      const { code } = toStoreError(error)
      if (code === 'volume_not_found') return
      if (code !== 'conflict' || attempt === LISTINGS_MAX) throw error
    }
  }
}

/** All have one cookie, and no two blobs of a key are the same: each has a version. */
function needleOf({ keyHigh, keyLow }: BlobKey, data: Buffer): NeedleWrite {
  const needle: NeedleWrite = bytesNeedle({ keyHigh, keyLow, cookie: COOKIE }, data)
  needle.isKnownToDiffer = true
  return needle
}

function fidOf(volume: Volume, { keyHigh, keyLow }: BlobKey): Fid {
  return { volumeId: volume.id, keyHigh, keyLow, cookie: COOKIE }
}

async function addTo(blobs: KeyedBlob[], volume: Volume, needle: Needle | undefined): Promise<void> {
  if (needle === undefined) return
  const { large } = needle
  if (large === undefined) {
    blobs.push({ volumeId: volume.id, data: needle.borrowed ? Buffer.from(needle.data!) : needle.data! })
    return
  }
  try {
    const data = Buffer.allocUnsafeSlow(needle.dataSizeBytes)
    let filled = 0
    for await (const piece of large.read(0, data.length)) filled += piece.copy(data, filled)
    blobs.push({ volumeId: volume.id, data })
  } finally {
    large.close()
  }
}
