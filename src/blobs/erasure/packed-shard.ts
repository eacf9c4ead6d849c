/**
 * Packed shards: what the needles of an erasure volume hold. A head of 16 bytes says which shard of what it is, so that any
 * k of them give the blob back and know that it is right: `docs/formats/packed-shard.md`.
 */
import { createHash } from 'node:crypto'
import { assert } from '../../base/assert.ts'
import { StoreError } from '../../base/errors.ts'
import type { LentPiece } from '../../base/piece-buffers.ts'
import { Kernel } from './kernel.ts'
import { LentMemory } from './lent-memory.ts'
import { ReedSolomon } from './reed-solomon.ts'
import type { BlobHash } from './xxhash.ts'

/** Before the bytes of each shard. */
export const SHARD_HEAD_BYTES = 16
/** The upper half marks a packed shard, the lower is the version. */
const FORMAT = 0xe1
const VERSION_MASK = 0x0f
const BLOB_BYTES_END = 2 ** 32
const INDEX_AT = 3

export interface ShardHead {
  index: number
  /** Of the whole blob. */
  blobBytes: number
  /** XXH64 of the whole blob. */
  blobHash: bigint
}

export interface Shard extends ShardHead {
  /** Without the head; a view of what was unpacked. */
  bytes: Buffer
}

/** Packed shards, in one piece of memory. */
export type PackedBlob = Buffer[] & {
  /** SHA-256 of the blob in base64: computed at the first call. */
  blobName?: () => Buffer
  /** Call it at most once, when nobody uses any of them any more; then their bytes are anything. */
  giveBack?: () => void
}

export interface JoinedBlob {
  blob: LentPiece
  /** Indexes of shards that were given, but do not belong to this blob; they are to be replaced, like missing ones. */
  wrong: number[]
}

/** Part of a shard. */
export interface ShardRange {
  index: number
  /** In the shard's bytes, without the head. */
  start: number
  end: number
}

/** Packs and unpacks the shards of one layout, synchronously; one for each thread. */
export class ShardCodec {
  readonly k: number
  readonly m: number
  readonly #code: ReedSolomon
  readonly #hash: BlobHash
  readonly #indexes: readonly number[]
  readonly #memory = new LentMemory()

  constructor({ k, m }: { k: number; m: number }) {
    const kernel = new Kernel()
    this.k = k
    this.m = m
    this.#code = new ReedSolomon({ k, m, product: kernel })
    this.#hash = kernel
    this.#indexes = Array.from({ length: k + m }, (_, index) => index)
  }

  /** Bytes of a packed shard, head included. Shards of data do not store the zeros that fill them. */
  packedBytes(blobBytes: number, index: number): number {
    return SHARD_HEAD_BYTES + this.#storedBytes(blobBytes, index)
  }

  /** What needles 0 to k+m-1 hold, or those of `indexes`. The blob is below 4 GiB. */
  pack(blob: Buffer, indexes = this.#indexes): PackedBlob {
    const packed = this.#memoryFor(blob.length, indexes)
    packed.blobName = nameOf(blob)
    const data = this.#dataOf(blob)
    const head = this.#headOf(blob)
    indexes.forEach((index, i) => {
      head.copy(packed[i]!)
      packed[i]![INDEX_AT] = index
      data[index]?.copy(packed[i]!, SHARD_HEAD_BYTES)
    })
    const isParity = (index: number) => index >= this.k
    const parity = packed.filter((_, i) => isParity(indexes[i]!))
    if (parity.length > 0) {
      const outputs = parity.map((shard) => shard.subarray(SHARD_HEAD_BYTES))
      this.#code.makeParity(data, indexes.filter(isParity), outputs)
    }
    return packed
  }

  /** Checks a head, the first 16 bytes of a packed shard. Throws `corrupt`. */
  readHead(head: Buffer, index: number): ShardHead {
    return readShardHead(this, head, index)
  }

  /** Checks the data of needle `index`. Throws `corrupt`. The bytes are a view of what is given. */
  unpack(packed: Buffer, index: number): Shard {
    const head = this.readHead(packed, index)
    const expected = this.packedBytes(head.blobBytes, index)
    if (packed.length !== expected) throw corrupt(index, `has ${packed.length} bytes instead of ${expected}`)
    return { ...head, bytes: packed.subarray(SHARD_HEAD_BYTES) }
  }

  /**
   * The blob, checked by its hash. Shards are at their index, as `unpack` gave them; k of one blob are enough. A shard that
   * is wrong by its content is found where more than k are given. Throws `unavailable` when fewer than k are given,
   * `corrupt` when no k of them make a blob with its hash. `compareAll`: those that were not needed are compared with it, too.
   */
  join(shards: readonly (Shard | undefined)[], { compareAll = false } = {}): JoinedBlob {
    const given = shards.filter((shard) => shard !== undefined)
    if (given.length < this.k) {
      throw new StoreError('unavailable', `${given.length} shards are there, and ${this.k} are needed`)
    }
    const agreeing = mostOfOneBlob(given)
    const strangers = given.filter((shard) => !agreeing.includes(shard))
    let isFirst = !compareAll
    for (const chosen of choices(agreeing, this.k)) {
      const blob = this.#joinChosen(chosen)
      // Once some have given another blob, those that do not fit this one are to be found.
      if (blob !== undefined) {
        const wrong = isFirst ? strangers : [...strangers, ...this.#different(agreeing, blob)]
        return { blob, wrong: wrong.map((shard) => shard.index) }
      }
      isFirst = false
    }
    throw new StoreError('corrupt', `no ${this.k} of ${given.length} shards make a blob with its hash`)
  }

  /** The parts of shards that hold bytes `start` to `end` (exclusive) of a blob, in order. */
  rangesOf(blobBytes: number, start: number, end: number): ShardRange[] {
    const shardBytes = this.#code.shardBytes(blobBytes)
    const ranges: ShardRange[] = []
    for (let at = start; at < end; ) {
      const index = Math.floor(at / shardBytes)
      const base = index * shardBytes
      const stop = Math.min(end, base + shardBytes)
      ranges.push({ index, start: at - base, end: stop - base })
      at = stop
    }
    return ranges
  }

  #storedBytes(blobBytes: number, index: number): number {
    const shardBytes = this.#code.shardBytes(blobBytes)
    if (index >= this.k) return shardBytes
    return Math.max(0, Math.min(shardBytes, blobBytes - index * shardBytes))
  }

  /** Views of a blob, one for each shard of data. */
  #dataOf(blob: Buffer): Buffer[] {
    const shardBytes = this.#code.shardBytes(blob.length)
    return Array.from({ length: this.k }, (_, i) => blob.subarray(i * shardBytes, (i + 1) * shardBytes))
  }

  /** Room for these shards, one behind the other. */
  #memoryFor(blobBytes: number, indexes: readonly number[]): PackedBlob {
    const sizes = indexes.map((index) => this.packedBytes(blobBytes, index))
    const bytes = sizes.reduce((sum, size) => sum + size, 0)
    const memory = this.#memory.lend(bytes)
    let end = 0
    const packed: PackedBlob = sizes.map((size) => {
      end += size
      return memory.subarray(end - size, end)
    })
    if (memory.giveBack !== undefined) packed.giveBack = memory.giveBack
    return packed
  }

  /** The head of a blob's shard 0. */
  #headOf(blob: Buffer): Buffer {
    assert(blob.length < BLOB_BYTES_END, 'the length of a blob has 32 bits')
    const head = Buffer.allocUnsafe(SHARD_HEAD_BYTES)
    head[0] = FORMAT
    head[1] = this.k
    head[2] = this.m
    head[INDEX_AT] = 0
    head.writeUInt32BE(blob.length, 4)
    head.writeBigUInt64BE(this.#hash.hash(blob), 8)
    return head
  }

  #joinChosen(chosen: readonly Shard[]): LentPiece | undefined {
    const { blobBytes, blobHash } = chosen[0]!
    const blob = this.#memory.lend(blobBytes)
    const data = this.#dataOf(blob)
    const byIndex: (Buffer | undefined)[] = new Array(this.k + this.m).fill(undefined)
    for (const shard of chosen) {
      byIndex[shard.index] = shard.bytes
      if (shard.index < this.k) shard.bytes.copy(data[shard.index]!)
    }
    const missing = [...data.keys()].filter((index) => byIndex[index] === undefined)
    if (missing.length > 0) {
      this.#code.rebuild(
        byIndex,
        missing,
        missing.map((index) => data[index]!),
      )
    }
    if (this.#hash.hash(blob) === blobHash) return blob
    blob.giveBack?.()
    return undefined
  }

  /** Those that are not as this blob's shards are. */
  #different(shards: readonly Shard[], blob: Buffer): Shard[] {
    const indexes = shards.map((shard) => shard.index)
    const right = this.pack(blob, indexes)
    const different = shards.filter((shard, i) => !shard.bytes.equals(right[i]!.subarray(SHARD_HEAD_BYTES)))
    right.giveBack?.()
    return different
  }
}

/** As `ShardCodec.readHead`, for who has none. */
export function readShardHead(layout: { k: number; m: number }, head: Buffer, index: number): ShardHead {
  if (head.length < SHARD_HEAD_BYTES) throw corrupt(index, `has ${head.length} bytes`)
  const format = head[0]!
  if (format !== FORMAT) {
    const known = (format & ~VERSION_MASK) === (FORMAT & ~VERSION_MASK)
    throw corrupt(index, known ? `is of version ${format & VERSION_MASK}` : 'does not begin as a shard')
  }
  const [k, m, storedIndex] = [head[1]!, head[2]!, head[INDEX_AT]!]
  if (k !== layout.k || m !== layout.m) throw corrupt(index, `says that it is one of ${k}+${m}`)
  if (storedIndex !== index) throw corrupt(index, `says that it is shard ${storedIndex}`)
  return { index, blobBytes: head.readUInt32BE(4), blobHash: head.readBigUInt64BE(8) }
}

/** As many as are of one blob by their heads. */
function mostOfOneBlob(shards: readonly Shard[]): Shard[] {
  let most: Shard[] = []
  for (const { blobBytes, blobHash } of shards) {
    const group = shards.filter((other) => other.blobBytes === blobBytes && other.blobHash === blobHash)
    if (group.length > most.length) most = group
    if (most.length === shards.length) break
  }
  return most
}

function nameOf(blob: Buffer): () => Buffer {
  let name: Buffer | undefined
  return () => {
    name ??= Buffer.from(createHash('sha256').update(blob).digest('base64'))
    return name
  }
}

/** The head of a packed shard, for who keeps its bytes elsewhere. Undefined: it is none that this version made. */
export function shapeOfShard(
  packed: Buffer,
): { index: number; shardBytes: number; storedBytes: number } | undefined {
  if (packed.length < SHARD_HEAD_BYTES || packed[0] !== FORMAT) return undefined
  const [k, index, blobBytes] = [packed[1]!, packed[INDEX_AT]!, packed.readUInt32BE(4)]
  const shardBytes = k === 0 ? 0 : Math.ceil(blobBytes / k)
  const storedBytes =
    index < k ? Math.max(0, Math.min(shardBytes, blobBytes - index * shardBytes)) : shardBytes
  return { index, shardBytes, storedBytes }
}

/** All choices of `count` items, the first of them first. */
function* choices<Item>(items: readonly Item[], count: number): Generator<Item[]> {
  if (count === 0) yield []
  else if (items.length >= count) {
    for (const rest of choices(items.slice(1), count - 1)) yield [items[0]!, ...rest]
    yield* choices(items.slice(1), count)
  }
}

function corrupt(index: number, what: string): StoreError {
  return new StoreError('corrupt', `shard ${index} ${what}`)
}
