/**
 * What a master must remember across restarts: the next volume id, the next file key, the cluster's id and the nodes
 * it knew. Everything else it learns from heartbeats. An interface, because several masters will share it in SQL;
 * here is the file of a single master.
 */
import { assert } from '../base/assert.ts'
import { crc32c } from '../base/checksum.ts'
import { ERASURE_GROUPS_MAX, PLAIN_VOLUME_IDS_END } from '../base/erasure-id.ts'
import { StoreError } from '../base/errors.ts'
import { NODES_MAX } from '../base/limits.ts'
import type { Random } from '../base/random.ts'
import { type Disk, readFileWhole, replaceFileDurably } from '../disk/disk.ts'
import { randomUuid } from './heartbeat.ts'

/** Keys at and above this are never assigned, so the sequence cannot run over. */
export const KEY_ASSIGNED_END = 2n ** 64n - 2n ** 40n
const VOLUME_ID_MAX = PLAIN_VOLUME_IDS_END - 1

export interface KeyLease {
  /** First key of the block. */
  first: bigint
  /** One past its last. */
  end: bigint
}

export interface MasterState {
  /** UUID of the cluster, made when the state is. */
  readonly clusterId: string
  /** True when this process made the state: nothing is known of volumes made before it. */
  readonly fresh: boolean
  /** Nodes that were members when last noted. */
  readonly knownNodeIds: readonly string[]
  /**
   * Takes `count` keys, all at or above `above`, that no one was or will be given again. Durable when it resolves.
   * Throws `unavailable` when no keys are left, or what the disk throws.
   */
  leaseKeys(count: number, above: bigint): Promise<KeyLease>
  /** A volume id above `above` and every id before it. Durable when it resolves. */
  allocateVolumeId(above: number): Promise<number>
  /** Remembers that this id is taken, whoever made it. Durable when it resolves. */
  noteVolumeId(id: number): Promise<void>
  /** Remembers who is a member. Durable when it resolves. */
  noteNodes(nodeIds: string[]): Promise<void>
  /** The largest id of a plain volume that is known. */
  readonly volumeIdMax: number
  /** The number of an erasure group that no one was or will be given again, not below `from`. Durable when it resolves. */
  allocateErasureGroup(from: number): Promise<number>
}

interface StateFields {
  clusterId: string
  nextKey: bigint
  volumeIdMax: number
  /** One past the largest that was given. */
  erasureGroupsEnd: number
  nodeIds: string[]
}

const FILE_NAME = 'master.state'
const FORMAT_VERSION = 1

/** MasterState in one small file, replaced as one durable step before what it allows is used. */
export class FileMasterState implements MasterState {
  readonly #disk: Disk
  readonly #directory: string
  readonly fresh: boolean
  #fields: StateFields

  private constructor(options: { disk: Disk; directory: string; fields: StateFields; fresh: boolean }) {
    this.#disk = options.disk
    this.#directory = options.directory
    this.#fields = options.fields
    this.fresh = options.fresh
  }

  /** Reads the file, or makes it. Throws `corrupt` rather than start over: keys would be given twice. */
  static open(options: { disk: Disk; directory: string; random: Random }): FileMasterState {
    const { disk, directory, random } = options
    const bytes = readFileWhole(disk, `${directory}/${FILE_NAME}`)
    if (bytes !== undefined) {
      return new FileMasterState({ disk, directory, fields: decode(bytes), fresh: false })
    }
    const fields = {
      clusterId: randomUuid(random),
      nextKey: 1n,
      volumeIdMax: 0,
      erasureGroupsEnd: 0,
      nodeIds: [],
    }
    const state = new FileMasterState({ disk, directory, fields, fresh: true })
    state.#save(fields)
    return state
  }

  get clusterId(): string {
    return this.#fields.clusterId
  }

  get volumeIdMax(): number {
    return this.#fields.volumeIdMax
  }

  get knownNodeIds(): readonly string[] {
    return this.#fields.nodeIds
  }

  async leaseKeys(count: number, above: bigint): Promise<KeyLease> {
    assert(Number.isSafeInteger(count) && count > 0, 'a lease has keys')
    const first = above > this.#fields.nextKey ? above : this.#fields.nextKey
    const end = first + BigInt(count)
    if (end > KEY_ASSIGNED_END) throw new StoreError('unavailable', 'no file keys are left to assign')
    this.#save({ ...this.#fields, nextKey: end })
    return { first, end }
  }

  async allocateVolumeId(above: number): Promise<number> {
    const id = Math.max(this.#fields.volumeIdMax, above) + 1
    if (id > VOLUME_ID_MAX) throw new StoreError('unavailable', 'no volume ids are left')
    this.#save({ ...this.#fields, volumeIdMax: id })
    return id
  }

  async noteVolumeId(id: number): Promise<void> {
    if (id > this.#fields.volumeIdMax) this.#save({ ...this.#fields, volumeIdMax: id })
  }

  async allocateErasureGroup(from: number): Promise<number> {
    const group = Math.max(this.#fields.erasureGroupsEnd, from)
    if (group >= ERASURE_GROUPS_MAX) throw new StoreError('unavailable', 'no erasure groups are left')
    this.#save({ ...this.#fields, erasureGroupsEnd: group + 1 })
    return group
  }

  async noteNodes(nodeIds: string[]): Promise<void> {
    assert(nodeIds.length <= NODES_MAX, 'nodes are bounded')
    const sorted = nodeIds.toSorted()
    if (sorted.join() !== this.#fields.nodeIds.join()) this.#save({ ...this.#fields, nodeIds: sorted })
  }

  /** On disk first, then in memory: what a failed write may have left behind is never used. */
  #save(fields: StateFields): void {
    assert(fields.nextKey >= this.#fields.nextKey, 'keys only go up')
    assert(fields.volumeIdMax >= this.#fields.volumeIdMax, 'volume ids only go up')
    replaceFileDurably(this.#disk, this.#directory, FILE_NAME, encode(fields))
    this.#fields = fields
  }
}

/** Line 1: format and checksum of line 2. Line 2: JSON, the key in decimal because it passes 2^53. */
function encode(fields: StateFields): Buffer {
  const json = JSON.stringify({ ...fields, nextKey: String(fields.nextKey) })
  return Buffer.from(`cairn-master-state ${FORMAT_VERSION} ${checksumOf(json)}\n${json}\n`)
}

function decode(bytes: Buffer): StateFields {
  const match = /^cairn-master-state ([0-9]+) ([0-9a-f]{8})\n(.*)\n$/.exec(bytes.toString('utf8'))
  if (match === null)
    throw new StoreError('corrupt', `${FILE_NAME} is not a master's state; restore it from a copy`)
  const [, version, checksum, json] = match as unknown as [string, string, string, string]
  if (Number(version) !== FORMAT_VERSION) {
    throw new StoreError(
      'unsupported',
      `${FILE_NAME} has format ${version}; this release reads ${FORMAT_VERSION}`,
    )
  }
  if (checksum !== checksumOf(json)) {
    throw new StoreError('corrupt', `${FILE_NAME} does not match its checksum; restore it from a copy`)
  }
  // Absent from what was written before there were erasure groups.
  const { clusterId, nextKey, volumeIdMax, erasureGroupsEnd = 0, nodeIds } = JSON.parse(json)
  return { clusterId, nextKey: BigInt(nextKey), volumeIdMax, erasureGroupsEnd, nodeIds }
}

function checksumOf(json: string): string {
  return crc32c(Buffer.from(json)).toString(16).padStart(8, '0')
}
