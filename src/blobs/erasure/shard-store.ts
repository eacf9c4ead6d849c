/**
 * One shard at a time: a needle in the volume that a file id names, wherever that volume is. Volumes of this process are read
 * and written directly, others over HTTP.
 */
import { StoreError, toStoreError } from '../../base/errors.ts'
import { type Fid, formatFid } from '../../base/fid.ts'
import type { LentPiece } from '../../base/piece-buffers.ts'
import { bytesNeedle, DATA_OFFSET, type Needle, type NeedleWrite } from '../../disk/needle.ts'
import type { ReadOptions, Volume } from '../../disk/volume.ts'
import type { BlobRangeOptions } from '../blob-store.ts'
import type { LocalVolumes } from '../local-volumes.ts'
import type { RemoteBlobs } from '../remote-blobs.ts'
import { ShardFilesVolume } from '../shard-files.ts'
import { type SyncMode, syncVolume } from '../volume/write.ts'
import type { FindVolume } from '../volume-locator.ts'
import { LentMemory } from './lent-memory.ts'

export interface ShardStoreOptions {
  volumes: LocalVolumes
  remote: RemoteBlobs
  find: FindVolume
  sync: SyncMode
}

export interface ShardReadOptions {
  /** Also a deleted one that is still there. */
  deleted?: boolean
  /** Gives the memory to read into, as `ShardRoom.take`; what is read there is not the reader's to give back. */
  memory?: (lengthBytes: number, shardAt: number) => Buffer | undefined
}

export interface ShardWriteOptions {
  /** `host:port` of the volume's server, where it is known. */
  url?: string | undefined
  /** Throws `not_found` where the shard was deleted. */
  isRepair?: boolean
  /** As `PackedBlob` has it. */
  blobName?: (() => Buffer) | undefined
}

export class ShardStore {
  readonly #options: ShardStoreOptions
  readonly #memory = new LentMemory()
  /** Volumes that want the name of a shard's blob. */
  readonly #named = new Set<number>()

  constructor(options: ShardStoreOptions) {
    this.#options = options
  }

  /** The volume, where it is in this process. Throws `io_error` when it could not be opened. */
  near(volumeId: number): Volume | undefined {
    return this.#options.volumes.get(volumeId)
  }

  /**
   * The packed shard, verified by its needle. Throws `not_found` (the volume is there, and has it not), `corrupt`, `io_error`, and
   * `volume_not_found`, `unavailable`, `timeout` when its volume cannot be reached.
   */
  async read(fid: Fid, options: ShardReadOptions = {}): Promise<LentPiece> {
    const volume = this.near(fid.volumeId)
    if (volume === undefined) return await this.#options.remote.readWhole(fid, options)
    const { deleted, memory } = options
    const loan = new Loan(this.#memory)
    const forRecord = memory && ((bytes: number) => memory(bytes, DATA_OFFSET))
    const reading = this.#needle(volume, fid, { deleted, memory: forRecord ?? loan.take })
    // What is borrowed is copied before anything else runs.
    const found = reading instanceof Promise ? await reading : reading
    if (found.large === undefined) return found.borrowed ? Buffer.from(found.data!) : loan.pass(found.data!)
    const { large } = found
    try {
      const whole = memory?.(found.dataSizeBytes, 0) ?? this.#memory.lend(found.dataSizeBytes)
      await large.readInto(whole)
      return whole
    } finally {
      large.close()
    }
  }

  /** Bytes of the packed shard, verified piece by piece. Throws as `read`, and `corrupt` when it has another length. */
  async *readRange(
    fid: Fid,
    { start, end }: { start: number; end: number },
    { deleted = false, sizeBytes }: BlobRangeOptions = {},
  ): AsyncGenerator<Buffer, void, undefined> {
    const volume = this.near(fid.volumeId)
    if (volume === undefined) {
      yield* this.#options.remote.read(fid, { start, end }, { deleted })
      return
    }
    const loan = new Loan(this.#memory)
    const reading = this.#needle(volume, fid, { deleted, memory: loan.take })
    const found = reading instanceof Promise ? await reading : reading
    const { large, data, borrowed, dataSizeBytes } = found
    try {
      if (end > dataSizeBytes || (sizeBytes ?? dataSizeBytes) !== dataSizeBytes)
        throw new StoreError('corrupt', `a shard of ${dataSizeBytes} bytes, not ${sizeBytes ?? end}`)
      if (large !== undefined) yield* large.read(start, end)
      else if (borrowed) yield Buffer.from(data!.subarray(start, end))
      else yield loan.pass(data!.subarray(start, end))
    } finally {
      large?.close()
    }
  }

  #needle(
    volume: Volume,
    fid: Fid,
    { deleted = false, memory }: { deleted: boolean | undefined; memory: NonNullable<ReadOptions['memory']> },
  ): Needle | Promise<Needle> {
    const found = volume.read(fid, { readDeleted: deleted, memory })
    if (found instanceof Promise) return found.then((needle) => needle ?? notFound(fid))
    return found ?? notFound(fid)
  }

  /**
   * Stores a packed shard, as durable as is configured. Throws what the volume throws, and as `read` when it cannot be reached.
   */
  async write(fid: Fid, packed: Buffer, options: ShardWriteOptions = {}): Promise<void> {
    const { blobName } = options
    const isNamed = this.#named.has(fid.volumeId)
    try {
      await this.#write(fid, packed, { ...options, name: isNamed ? blobName?.() : undefined })
    } catch (error) {
      if (isNamed || blobName === undefined || toStoreError(error).code !== 'precondition_failed') throw error
      // Volumes whose shards are files need the name. It costs, and most do without.
      this.#named.add(fid.volumeId)
      await this.#write(fid, packed, { ...options, name: blobName() })
    }
  }

  async #write(
    fid: Fid,
    packed: Buffer,
    { url, isRepair = false, name }: ShardWriteOptions & { name: Buffer | undefined },
  ): Promise<void> {
    const { remote, sync } = this.#options
    const volume = this.near(fid.volumeId)
    if (volume === undefined) {
      const server = url ?? (await this.#serverOf(fid.volumeId))
      return await remote.write(fid, { url: server, data: packed, fsync: sync !== 'none', isRepair, name })
    }
    const needle: NeedleWrite = { ...bytesNeedle(fid, packed), name }
    if (isRepair) needle.isRepair = true
    const written = volume.write(needle)
    if (written instanceof Promise) await written
    await syncVolume(volume, { sync, fsync: false })
  }

  /** Removes a shard, durably; one that is not there counts as removed. Throws as `read`, and what the volume throws. */
  async remove(fid: Fid): Promise<void> {
    const volume = this.near(fid.volumeId)
    if (volume === undefined) return await this.removeElsewhere(fid)
    volume.remove(fid)
    await this.settle(volume)
  }

  /** As `remove`, of one that is in another process. */
  async removeElsewhere(fid: Fid): Promise<void> {
    await this.#options.remote.remove(fid)
  }

  /** Makes what was written to or removed from a volume of this process as durable as is configured. */
  async settle(volume: Volume): Promise<void> {
    await syncVolume(volume, { sync: this.#options.sync, fsync: false })
  }

  /** `host:port` of the server that has a volume. Throws `volume_not_found`, `unavailable`, `timeout`. */
  async #serverOf(volumeId: number): Promise<string> {
    const [location] = await this.#options.find(volumeId)
    if (location === undefined) throw new StoreError('volume_not_found', `volume ${volumeId} not found`)
    return location.url
  }

  /** Whether a volume keeps shards as files, as far as that is known. */
  async areFiles(volumeId: number): Promise<boolean> {
    const volume = this.near(volumeId)
    if (volume !== undefined) return volume instanceof ShardFilesVolume
    return (await this.#options.find(volumeId)).some(({ shardFiles }) => shardFiles === true)
  }

  /** Where a shard can be read from now: `host:port`, or '' for this process; undefined: nowhere. */
  async locate(fid: Fid): Promise<string | undefined> {
    try {
      await this.read(fid)
      return this.near(fid.volumeId) === undefined ? await this.#serverOf(fid.volumeId) : ''
    } catch {
      return undefined
    }
  }
}

/** Memory for one record, given back with the part of it that is passed on. */
class Loan {
  readonly #memory: LentMemory
  #lent: LentPiece | undefined

  constructor(memory: LentMemory) {
    this.#memory = memory
  }

  take = (bytes: number): Buffer => {
    this.#lent = this.#memory.lend(bytes)
    return this.#lent
  }

  /** `part` of the record. */
  pass(part: LentPiece): LentPiece {
    part.giveBack = this.#lent?.giveBack
    return part
  }
}

function notFound(fid: Fid): never {
  throw new StoreError('not_found', `there is no shard ${formatFid(fid)}`)
}
