/**
 * Blobs in shards, of which any k give the bytes back: each shard a needle of the same key in another volume of the group. What
 * a read finds missing or damaged is made from the others, and written back at once.
 */
import type { Clock } from '../../base/clock.ts'
import { type ErasureName, layoutNamed, layoutOf, shardVolume } from '../../base/erasure-id.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import { formatFid } from '../../base/fid.ts'
import {
  BLOB_WRITE_ATTEMPTS_MAX,
  ERASURE_HEDGE_MS,
  SHARD_FILE_LOOKS_MAX,
  SMALL_RECORD_BYTES_MAX,
} from '../../base/limits.ts'
import type { LentPiece } from '../../base/piece-buffers.ts'
import type { Random } from '../../base/random.ts'
import {
  type BlobId,
  type BlobRangeOptions,
  type BlobWrite,
  blobBytes,
  type VerifiedBlob,
} from '../blob-store.ts'
import { type AssignKeys, IdLeases } from '../id-lease.ts'
import { ShardFilesVolume } from '../shard-files.ts'
import { type Gathered, gatherShards } from './gather-shards.ts'
import { lentSlices } from './lent-memory.ts'
import { type PackedBlob, SHARD_HEAD_BYTES, type Shard, ShardCodec } from './packed-shard.ts'
import { partsAhead } from './parts-ahead.ts'
import { removeShards } from './remove-shards.ts'
import { isMendable, ShardHealth } from './shard-health.ts'
import { ShardRooms } from './shard-room.ts'
import { ShardStore, type ShardStoreOptions } from './shard-store.ts'
import { writeShards } from './write-shards.ts'

export interface ErasureBlobsOptions extends ShardStoreOptions {
  assign: AssignKeys
  clock: Clock
  random: Random
  /** Default BLOB_LEASE_COUNT. */
  leaseCount?: number
}

interface Coding {
  codec: ShardCodec
  rooms: ShardRooms
}

export interface BlobReadOptions {
  /** Also a deleted one that is still there. */
  deleted?: boolean
}

/** A group that failed so may be followed by another one that does not. */
const ANOTHER_MAY_TAKE_IT: ReadonlySet<string> = new Set(['volume_full', 'disk_full', 'unavailable'])
/** Who looks at all shards of a blob waits so long for those that are not needed: a server may hang. */
export const SHARD_LOOK_MS = 2_000
/** The bytes are copied at once. */
const BORROWED = { borrow: true }
const BORROWED_DELETED_TOO = { borrow: true, readDeleted: true }

export class ErasureBlobs {
  readonly shards: ShardStore
  readonly #options: ErasureBlobsOptions
  readonly #leases: IdLeases
  readonly #health: ShardHealth
  readonly #codings = new Map<ErasureName, Coding>()
  /** Blobs of which all shards are being looked at, and whether they were read since the look began. */
  readonly #looking = new Map<string, { again: boolean }>()
  /** Blobs whose shards are being written back; none of the promises rejects. */
  readonly #mending = new Map<string, Promise<void>>()

  constructor(options: ErasureBlobsOptions) {
    this.#options = options
    this.shards = new ShardStore(options)
    this.#leases = new IdLeases(options)
    this.#health = new ShardHealth(options.clock)
  }

  #coding(name: ErasureName): Coding {
    let coding = this.#codings.get(name)
    if (coding === undefined) {
      const layout = layoutNamed(name)
      coding = { codec: new ShardCodec(layout), rooms: new ShardRooms(layout) }
      this.#codings.set(name, coding)
    }
    return coding
  }

  /** Throws as `BlobStore.write`; `unavailable` also when fewer than k + 1 shards can be written. */
  async write(blob: BlobWrite, name: ErasureName): Promise<BlobId> {
    const { codec } = this.#coding(name)
    const layout = layoutNamed(name)
    const parts = { shards: this.shards, health: this.#health, clock: this.#options.clock, layout }
    for (let attempt = 1; ; attempt++) {
      const taken = this.#leases.take({ collection: blob.collection, ttl: 0, redundancy: name })
      const place = taken instanceof Promise ? await taken : taken
      try {
        const packed = codec.pack(blobBytes(blob, place.fid))
        await writeShards(parts, place, packed)
        return place.fid
      } catch (error) {
        const failure = toStoreError(error)
        if (!ANOTHER_MAY_TAKE_IT.has(failure.code) || attempt === BLOB_WRITE_ATTEMPTS_MAX) throw failure
        this.#leases.refuse(place.fid.volumeId)
      }
    }
  }

  /**
   * As `BlobStore.read`. Throws `not_found` when the blob was removed, `unavailable` when too few of its shards can be read or
   * rebuilt: never wrong bytes.
   */
  read(id: BlobId, options: BlobReadOptions = {}): Buffer | Promise<Buffer> {
    const near = this.#readNear(id, options)
    if (near === undefined) return this.#readWidely(id, options)
    if (this.shards.near(id.volumeId) instanceof ShardFilesVolume) void this.#lookAround(id)
    return near
  }

  /** Where shards are files, people remove them: those that a read did without are looked at behind it. */
  async #lookAround(id: BlobId): Promise<void> {
    const key = formatFid(id)
    const underWay = this.#looking.get(key)
    if (underWay !== undefined) {
      // It may be past the shard that this read did without.
      underWay.again = true
      return
    }
    if (this.#looking.size >= SHARD_FILE_LOOKS_MAX) return
    const look = { again: true }
    this.#looking.set(key, look)
    while (look.again) {
      look.again = false
      try {
        if (await this.shards.areFiles(id.volumeId)) await this.verify(id, { repair: true })
      } catch {
        // Who reads the blob next is told.
      }
    }
    this.#looking.delete(key)
  }

  /** From the shards of data alone, when all are in this process, small and well. At once, as this is what most reads are. */
  #readNear(id: BlobId, { deleted }: BlobReadOptions): Buffer | undefined {
    const { name, k } = layoutOf(id.volumeId)
    const { codec } = this.#coding(name)
    const readOptions = deleted ? BORROWED_DELETED_TOO : BORROWED
    const fid = { ...id }
    let blob: Buffer | undefined
    let first: Buffer | undefined
    try {
      for (let index = 0, at = 0; index < k; index++) {
        fid.volumeId = shardVolume(id.volumeId, index)
        const found = this.shards.near(fid.volumeId)?.read(fid, readOptions)
        if (found instanceof Promise) {
          found.then((needle) => needle?.large?.close()).catch(() => {})
          return undefined
        }
        const packed = found?.data
        if (packed === undefined) return undefined
        if (blob === undefined || first === undefined) {
          blob = Buffer.allocUnsafe(codec.readHead(packed, index).blobBytes)
          first = Buffer.from(packed.subarray(0, SHARD_HEAD_BYTES))
        } else if (!isOfSameBlob(packed, first, index)) return undefined
        if (packed.length !== codec.packedBytes(blob.length, index)) return undefined
        at += packed.copy(blob, at, SHARD_HEAD_BYTES)
      }
      return blob
    } catch {
      return undefined // The other way finds out what it is, and mends it.
    }
  }

  async #readWidely(id: BlobId, options: BlobReadOptions): Promise<LentPiece> {
    const blob = await this.#gather(id, options)
    void this.#lookAround(id)
    return blob
  }

  async #gather(id: BlobId, options: BlobReadOptions): Promise<LentPiece> {
    const { name, k, m } = layoutOf(id.volumeId)
    const { codec } = this.#coding(name)
    const parts = { shards: this.shards, health: this.#health, codec, clock: this.#options.clock }
    let gathered = await gatherShards(parts, id, { needed: k })
    if (countOf(gathered.shards) < k) {
      if (options.deleted !== true) throw lost(id, gathered)
      const live = gathered
      gathered = await gatherShards(parts, id, { needed: k, deleted: true })
      if (countOf(gathered.shards) < k) throw lost(id, live)
      const { blob } = codec.join(gathered.shards)
      gathered.giveBack()
      return blob
    }
    for (const waitMs of [SHARD_LOOK_MS, undefined]) {
      try {
        return this.#join(id, codec, gathered)
      } catch (error) {
        // Damage that checksums did not show: with more shards those that are wrong can be told.
        if (toStoreError(error).code !== 'corrupt') throw error
        gathered = await gatherShards(parts, id, { needed: k + m, waitMs })
      }
    }
    return this.#join(id, codec, gathered)
  }

  #join(id: BlobId, codec: ShardCodec, { shards, failures, giveBack }: Gathered): LentPiece {
    const { blob, wrong } = codec.join(shards)
    giveBack()
    const lacking = [...wrong, ...mendableOf(failures)]
    if (lacking.length > 0 && !this.#mending.has(formatFid(id))) {
      // Its name may be asked for later than its reader needs it.
      blob.giveBack = undefined
      void this.#mend(id, codec.pack(blob, lacking), lacking)
    }
    return blob
  }

  /** Bytes of a blob of which shards are lost. Throws as `read`. */
  async *#rebuiltRange(
    id: BlobId,
    range: { start: number; end: number },
    options: BlobRangeOptions,
  ): AsyncGenerator<LentPiece, void, undefined> {
    const { sizeBytes = 0 } = options
    const inRoom = sizeBytes > SMALL_RECORD_BYTES_MAX ? await this.#joinInRoom(id, sizeBytes) : undefined
    void this.#lookAround(id)
    if (inRoom !== undefined) {
      yield* lentSlices(inRoom.pieces, range, inRoom.giveBack)
      return
    }
    const blob = await this.#gather(id, options)
    if (range.end > blob.length)
      throw new StoreError('corrupt', `blob of ${blob.length} bytes, not ${range.end}`)
    yield* lentSlices([blob], range, () => blob.giveBack?.())
  }

  /** A large blob, without copies; undefined where all is not as it usually is. */
  async #joinInRoom(
    id: BlobId,
    sizeBytes: number,
  ): Promise<{ pieces: Buffer[]; giveBack: () => void } | undefined> {
    const { name, k } = layoutOf(id.volumeId)
    const { codec, rooms } = this.#coding(name)
    const room = rooms.take()
    const parts = { shards: this.shards, health: this.#health, codec, clock: this.#options.clock }
    const memory = (bytes: number, shardAt: number) => room.take(bytes, shardAt)
    const gathered = await gatherShards(parts, id, { needed: k, memory })
    const giveBack = () => {
      gathered.giveBack()
      if (gathered.pending.size === 0) rooms.giveBack(room)
    }
    const shards = gathered.shards.filter((shard) => shard !== undefined)
    const isUsual = shards.length === k && areOfOneBlob(shards) && shards[0]!.blobBytes === sizeBytes
    const pieces = isUsual ? room.join(shards) : undefined
    if (pieces === undefined) {
      giveBack()
      return undefined
    }
    const lacking = mendableOf(gathered.failures)
    if (lacking.length > 0 && !this.#mending.has(formatFid(id)))
      void this.#mend(id, codec.pack(Buffer.concat(pieces), lacking), lacking)
    return { pieces, giveBack }
  }

  /** Writes shards back, after those of the blob that are on their way. What cannot be written now, repair finds again. */
  #mend(id: BlobId, packed: PackedBlob, indexes: readonly number[]): Promise<void> {
    const key = formatFid(id)
    const mended = (this.#mending.get(key) ?? Promise.resolve()).then(async () => {
      const fidOf = (index: number) => ({ ...id, volumeId: shardVolume(id.volumeId, index) })
      await Promise.allSettled(
        packed.map((shard, i) =>
          this.shards.write(fidOf(indexes[i]!), shard, { isRepair: true, blobName: packed.blobName }),
        ),
      )
      if (this.#mending.get(key) === mended) this.#mending.delete(key)
    })
    this.#mending.set(key, mended)
    return mended
  }

  /** As `BlobStore.readRange`: only the shards that the range touches are read, unless one of them is not well. */
  async *readRange(
    id: BlobId,
    start: number,
    end: number,
    options: BlobRangeOptions = {},
  ): AsyncGenerator<LentPiece, void, undefined> {
    const { codec } = this.#coding(layoutOf(id.volumeId).name)
    let at = start
    try {
      const blobBytes = this.#lengthKnown(id, options) ?? (await this.#lengthOf(id, codec, options))
      if (end > blobBytes) throw new StoreError('corrupt', `blob of ${blobBytes} bytes, not ${end}`)
      const ranges = codec.rangesOf(blobBytes, start, end)
      // Before any is read, for all are to be read again when one is not well.
      for (const { index } of ranges) this.#assertWell(shardVolume(id.volumeId, index))
      const parts = ranges.map((range) => () => {
        const bytes = { start: range.start + SHARD_HEAD_BYTES, end: range.end + SHARD_HEAD_BYTES }
        const sizeBytes = codec.packedBytes(blobBytes, range.index)
        const fid = { ...id, volumeId: shardVolume(id.volumeId, range.index) }
        return this.#piecesOf(fid, bytes, { ...options, sizeBytes })
      })
      for await (const piece of partsAhead(parts)) {
        at += piece.length
        yield piece
      }
      void this.#lookAround(id)
    } catch {
      yield* this.#rebuiltRange(id, { start: at, end }, options)
    }
  }

  /** What the reader says, where shards are in this process and compared with it as they are read. */
  #lengthKnown(id: BlobId, { sizeBytes }: BlobRangeOptions): number | undefined {
    const { k } = layoutOf(id.volumeId)
    for (let index = 0; index < k; index++)
      if (this.shards.near(shardVolume(id.volumeId, index)) === undefined) return undefined
    return sizeBytes
  }

  #assertWell(volumeId: number): void {
    if (this.#health.isLate(volumeId))
      throw new StoreError('unavailable', `volume ${volumeId} failed just now`)
  }

  /** Of one shard. Throws as `ShardStore.readRange`, and `timeout` when another server does not come up with them at once. */
  async *#piecesOf(
    fid: BlobId,
    bytes: { start: number; end: number },
    options: BlobRangeOptions,
  ): AsyncGenerator<Buffer, void, undefined> {
    const { volumeId } = fid
    const pieces = this.shards.readRange(fid, bytes, options)
    if (this.shards.near(volumeId) !== undefined) {
      yield* pieces
      return
    }
    try {
      for (;;) {
        const { value, done } = await this.#soon(pieces.next())
        if (done === true) return
        yield value
      }
    } catch (error) {
      const failure = toStoreError(error)
      if (failure.code === 'timeout') this.#health.noteSlow(volumeId)
      else this.#health.noteReadFailure(volumeId, failure)
      throw error
    } finally {
      // Behind the read that hangs, if one does.
      pieces.return().catch(() => {})
    }
  }

  /** What others can do without is not waited for. */
  async #soon<T>(coming: Promise<T>, waitMs = ERASURE_HEDGE_MS): Promise<T> {
    const timer: { stop?: () => void } = {}
    const late = new Promise<never>((_, reject) => {
      timer.stop = this.#options.clock.after(waitMs, () =>
        reject(new StoreError('timeout', 'a shard takes long')),
      )
    })
    try {
      return await Promise.race([coming, late])
    } finally {
      timer.stop?.()
      coming.catch(() => {})
    }
  }

  /** From the head of the first shard. Throws as `ShardStore.read`. */
  async #lengthOf(id: BlobId, codec: ShardCodec, options: BlobReadOptions): Promise<number> {
    this.#assertWell(id.volumeId)
    const head: Buffer[] = []
    const bytes = { start: 0, end: SHARD_HEAD_BYTES }
    const { deleted = false } = options
    for await (const piece of this.#piecesOf(id, bytes, { deleted })) head.push(piece)
    return codec.readHead(Buffer.concat(head), 0).blobBytes
  }

  /**
   * Removes blobs, durably: k + 1 shards of each at least, so that too few are left to bring it back. Throws what keeps one from
   * being removed.
   */
  remove(ids: readonly BlobId[]): Promise<void> {
    return removeShards({ shards: this.shards, health: this.#health }, ids)
  }

  /** As `BlobStore.verify`. */
  async verify(id: BlobId, { repair }: { repair: boolean }): Promise<VerifiedBlob> {
    const { name, k, m } = layoutOf(id.volumeId)
    const { codec } = this.#coding(name)
    const parts = { shards: this.shards, health: this.#health, codec, clock: this.#options.clock }
    const gathered = await gatherShards(parts, id, { needed: k + m, waitMs: SHARD_LOOK_MS })
    if (countOf(gathered.shards) < k) throw lost(id, gathered)
    const { blob, wrong } = codec.join(gathered.shards, { compareAll: true })
    const missing = [...gathered.shards.keys()].filter((index) => gathered.shards[index] === undefined)
    // What takes long to be read takes long to be written; repair looks after it.
    const lacking = [...wrong, ...missing.filter((index) => !gathered.pending.has(index))]
    const shardsLost = wrong.length + missing.length
    gathered.giveBack()
    if (repair && lacking.length > 0) await this.#mend(id, codec.pack(blob, lacking), lacking)
    return { sizeBytes: blob.length, shardsLost }
  }

  /** Where each shard can be read from now: its index, and `host:port` or '' for this process. One that takes long is left out. */
  async locate(id: BlobId): Promise<Map<number, string>> {
    const { k, m } = layoutOf(id.volumeId)
    const found = new Map<number, string>()
    await Promise.all(
      Array.from({ length: k + m }, async (_, index) => {
        const locating = this.shards.locate({ ...id, volumeId: shardVolume(id.volumeId, index) })
        const url = await this.#soon(locating, SHARD_LOOK_MS).catch(() => undefined)
        if (url !== undefined) found.set(index, url)
      }),
    )
    return new Map([...found].sort(([a], [b]) => a - b))
  }
}

/** Whether packed shard `index` has the head that another shard of its blob has. */
function isOfSameBlob(packed: Buffer, head: Buffer, index: number): boolean {
  return (
    packed.length >= SHARD_HEAD_BYTES &&
    packed[3] === index &&
    packed.compare(head, 0, 3, 0, 3) === 0 &&
    packed.compare(head, 4, SHARD_HEAD_BYTES, 4, SHARD_HEAD_BYTES) === 0
  )
}

/** Whether these shards have the head of the same blob. */
function areOfOneBlob([first, ...others]: readonly Shard[]): boolean {
  return others.every(
    ({ blobBytes, blobHash }) => blobBytes === first!.blobBytes && blobHash === first!.blobHash,
  )
}

/** Indexes of shards that are missing or damaged, where their volume is there. */
const mendableOf = (failures: Gathered['failures']) =>
  [...failures.keys()].filter((index) => isMendable(failures[index]))

const countOf = (shards: Gathered['shards']) => shards.filter((shard) => shard !== undefined).length

/** Why a blob cannot be read. */
function lost(id: BlobId, { shards, failures }: Gathered): StoreError {
  const { k, m } = layoutOf(id.volumeId)
  const isMissing = (failure: StoreError | undefined) => failure?.code === 'not_found'
  const missing = failures.filter(isMissing).length
  const present = k + m - failures.filter((failure) => isMissing(failure) || isAway(failure)).length
  const fid = formatFid(id)
  if (present === 0 && missing > m) return new StoreError('not_found', `there is no blob ${fid}`)
  const reasons = failures.flatMap((failure, index) =>
    failure ? [`shard ${index}: ${failure.message}`] : [],
  )
  const message = `${countOf(shards)} of the ${k} shards of ${fid} that are needed can be read (${reasons.join('; ')})`
  return new StoreError('unavailable', message)
}

/** Nothing is known of the shard. */
function isAway(failure: StoreError | undefined): boolean {
  return failure !== undefined && failure.code !== 'not_found' && failure.code !== 'corrupt'
}
