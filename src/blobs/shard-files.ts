/**
 * Shards as files that people can look at, for `--layout files`: `objects/HASH.INDEX.SHARD HASH`, both SHA-256 in base64. The
 * volume of a shard holds a reference in place of its bytes: so ids, listings, deletes and repair are those of any volume, and a
 * file that is missing or is not what its name says reads as a damaged record does. `docs/formats/shard-files.md`.
 */
import { createHash } from 'node:crypto'
import { crc32c } from '../base/checksum.ts'
import { isErasure } from '../base/erasure-id.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import type { Fid } from '../base/fid.ts'
import type { Random } from '../base/random.ts'
import { type Disk, readFileWhole } from '../disk/disk.ts'
import type { Needle, NeedleWrite } from '../disk/needle.ts'
import type { FollowNeedle } from '../disk/scrub-volume.ts'
import type { ThreadContext } from '../disk/thread-context.ts'
import { type ReadOptions, Volume, type WriteResult } from '../disk/volume.ts'
import type { VolumeOf } from '../disk/volume-set.ts'
import { type VolumeSlot, WORD } from '../disk/volume-table.ts'
import { SHARD_HEAD_BYTES, shapeOfShard } from './erasure/packed-shard.ts'

/** Beside the directory that the volumes are in. */
export const SHARD_FILES = 'objects'
export const SHARD_FILES_BEGUN = 'temp'
/** And what the volumes are in. */
export const VOLUMES_BESIDE_FILES = '.cairn'

const REFERENCE_MARK = 0xf1
const HASH_BYTES = 32
const REFERENCE_BYTES = 1 + SHARD_HEAD_BYTES + HASH_BYTES
const RANDOM_BYTES = 8

/** Makes the volumes of a process: those of shards keep them as files. */
export function shardFileVolumes(random: Random): VolumeOf {
  return (context, slot) =>
    isErasure(slot.get(WORD.volumeId))
      ? new ShardFilesVolume(context, slot, random)
      : new Volume(context, slot)
}

/** What is in a volume in place of a shard. */
export interface ShardReference {
  /** Of the file, without its directory. */
  fileName: string
  /** Of the packed shard. */
  head: Buffer
  hash: Buffer
  /** Bytes of the packed shard without its head; the file goes on with zeros up to those of the longest shard. */
  storedBytes: number
}

/** Undefined: the needle holds a shard itself, or none. */
function parseReference(needle: Pick<Needle, 'data' | 'name'>): ShardReference | undefined {
  const { data, name } = needle
  if (data?.length !== REFERENCE_BYTES || data[0] !== REFERENCE_MARK || !isShardName(name)) return undefined
  const head = Buffer.from(data.subarray(1, 1 + SHARD_HEAD_BYTES))
  const shape = shapeOfShard(head)
  if (shape === undefined) return undefined
  const hash = Buffer.from(data.subarray(1 + SHARD_HEAD_BYTES))
  return { fileName: fileNameOf(name, shape.index, hash), head, hash, storedBytes: shape.storedBytes }
}

export class ShardFilesVolume extends Volume {
  /** What SHARD_FILES is in. */
  readonly root: string
  readonly #random: Random

  constructor(context: ThreadContext, slot: VolumeSlot, random: Random) {
    super(context, slot)
    this.root = rootOf(context.directories[slot.get(WORD.directory)]!)
    this.#random = random
  }

  /** What is in the volume in place of a shard; undefined: nothing, or the shard itself. Throws as `Volume.read`. */
  reference(fid: Fid): ShardReference | undefined | Promise<ShardReference | undefined> {
    const found = super.read(fid)
    const parse = (needle: Needle | undefined) => {
      // A shard of a server that did not keep them as files may be large.
      needle?.large?.close()
      return needle && parseReference(needle)
    }
    return found instanceof Promise ? found.then(parse) : parse(found)
  }

  override read(fid: Fid, options?: ReadOptions): Needle | undefined | Promise<Needle | undefined> {
    const found = super.read(fid, options)
    return found instanceof Promise
      ? found.then((needle) => this.#follow(fid, needle))
      : this.#follow(fid, found)
  }

  #follow(fid: Fid, needle: Needle | undefined): Needle | undefined {
    const reference = needle && parseReference(needle)
    if (needle === undefined || reference === undefined) return needle
    try {
      const packed = readShardFile(this.context.disk, this.root, reference)
      const checksum = crc32c(packed)
      return {
        ...needle,
        data: packed,
        borrowed: false,
        dataSizeBytes: packed.length,
        checksum,
        name: undefined,
      }
    } catch (error) {
      const failure = toStoreError(error)
      if (failure.code === 'corrupt') this.noteDamage(fid, failure.message)
      throw failure
    }
  }

  /**
   * As `Volume.write`; a packed shard without the name of its blob is refused with `precondition_failed`. The file is on disk
   * when it resolves.
   */
  override write(given: NeedleWrite): WriteResult | Promise<WriteResult> {
    const shape = shapeOfShard(given.data)
    return shape === undefined ? super.write(given) : this.#writeFile(given, shape)
  }

  async #writeFile(
    given: NeedleWrite,
    { index, shardBytes, storedBytes }: NonNullable<ReturnType<typeof shapeOfShard>>,
  ): Promise<WriteResult> {
    const { data, name } = given
    if (data.length !== SHARD_HEAD_BYTES + storedBytes)
      throw new StoreError('bad_request', `a shard of ${data.length} bytes, not of ${storedBytes}`)
    if (!isShardName(name))
      throw new StoreError('precondition_failed', 'shards are files here, and need the hash of their blob')
    // All of it before anything else runs: the memory may be lent.
    const checksum = crc32c(data)
    const bytes = Buffer.alloc(shardBytes)
    data.copy(bytes, 0, SHARD_HEAD_BYTES)
    const hash = hashOf(bytes)
    const reference = Buffer.concat([Buffer.of(REFERENCE_MARK), data.subarray(0, SHARD_HEAD_BYTES), hash])
    await this.#replaceFile(fileNameOf(name, index, hash), bytes)
    return { ...(await super.write({ ...given, data: reference })), checksum }
  }

  async #replaceFile(fileName: string, bytes: Buffer): Promise<void> {
    try {
      await this.#placeFile(fileName, bytes).catch((error) => {
        if (!isNoEntry(error)) throw error
        makeFileDirectories(this.context.disk, this.root)
        return this.#placeFile(fileName, bytes)
      })
    } catch (error) {
      throw toStoreError(error)
    }
  }

  /** Throws the disk's error. */
  async #placeFile(fileName: string, bytes: Buffer): Promise<void> {
    const { disk } = this.context
    const directory = `${this.root}/${SHARD_FILES}`
    const begun = `${this.root}/${SHARD_FILES_BEGUN}/${this.#random.bytes(RANDOM_BYTES).toString('hex')}`
    try {
      const handle = disk.open(begun, 'wx+')
      try {
        await disk.write(handle, bytes, 0, bytes.length, 0)
        await disk.fdatasync(handle)
      } finally {
        disk.close(handle)
      }
      disk.renameSync(begun, `${directory}/${fileName}`)
      disk.syncDirectorySync(directory)
    } catch (error) {
      removeQuietly(disk, begun)
      throw error
    }
  }
}

/** The packed shard, verified. Throws `corrupt` when its file is gone or another, `io_error`. */
function readShardFile(disk: Disk, root: string, reference: ShardReference): Buffer {
  const { fileName, head, hash, storedBytes } = reference
  const bytes = readFileWhole(disk, `${root}/${SHARD_FILES}/${fileName}`)
  if (bytes === undefined) throw new StoreError('corrupt', `the file of a shard is gone: ${fileName}`)
  if (!hashOf(bytes).equals(hash))
    throw new StoreError('corrupt', `the file of a shard does not match its name: ${fileName}`)
  return Buffer.concat([head, bytes.subarray(0, storedBytes)])
}

/** The names in a directory of a root, which somebody may have removed: then it is made. Throws the disk's error. */
export function listFileDirectory(disk: Disk, root: string, name: string): string[] {
  try {
    return disk.list(`${root}/${name}`)
  } catch (error) {
    if (!isNoEntry(error)) throw error
    makeFileDirectories(disk, root)
    return []
  }
}

/** They are there when a server starts; who removes them while it runs loses what was in them, and no more. */
function makeFileDirectories(disk: Disk, root: string): void {
  for (const name of [SHARD_FILES, SHARD_FILES_BEGUN]) disk.mkdirSync(`${root}/${name}`)
  disk.syncDirectorySync(root)
}

function isNoEntry(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}

/** For the scrub: verifies the files that needles refer to. */
export function followShardFiles({ disk, directories }: ThreadContext): FollowNeedle {
  return (slot, needle) => {
    const reference = isErasure(slot.get(WORD.volumeId)) ? parseReference(needle) : undefined
    if (reference === undefined) return 0
    return readShardFile(disk, rootOf(directories[slot.get(WORD.directory)]!), reference).length
  }
}

/** As a path of a URL has it: a slash would be a directory. */
function fileNameOf(blobName: Buffer, index: number, hash: Buffer): string {
  const name = `${blobName.toString('latin1')}.${index}.${hash.toString('base64')}`
  return name.replaceAll('/', '%2F')
}

function isShardName(name: Buffer | undefined): name is Buffer {
  return name !== undefined && /^[A-Za-z0-9+/]{43}=$/.test(name.toString('latin1'))
}

/** Whether a directory of volumes is of a server that keeps shards as files. */
export function isBesideFiles(directory: string): boolean {
  return directory.split('/').includes(VOLUMES_BESIDE_FILES)
}

/** What `objects` is in, for a directory of volumes in or below VOLUMES_BESIDE_FILES. */
function rootOf(directory: string): string {
  return directory.slice(0, directory.lastIndexOf(`/${VOLUMES_BESIDE_FILES}`))
}

function hashOf(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}

function removeQuietly(disk: Disk, path: string): void {
  try {
    disk.removeSync(path)
  } catch {
    // It is swept away later.
  }
}
