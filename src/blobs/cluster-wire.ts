/**
 * The messages between masters and volume servers: JSON over HTTP POST, signed by `cluster-auth.ts`.
 * Every message carries protocol version, sender and epoch, so that later versions can tell an old peer why it is
 * refused, and so that a fenced master's calls can be refused once there are several.
 */
import { ERROR_CODES, type ErrorCode, StoreError } from '../base/errors.ts'
import {
  SHARD_ENTRIES_MAX,
  VOLUME_PIECE_BYTES_MAX,
  VOLUME_SIZE_BYTES_MAX,
  VOLUMES_PER_SERVER_MAX,
} from '../base/limits.ts'
import type { DirectoryInfo, NewVolume, VolumeInfo } from '../disk/volume-admin.ts'
import { COPIED_FILES, type CopiedFile, type HeldVolume } from '../disk/volume-copies.ts'
import { SHARD_KEYS_TEXT_MAX, type ShardRequests } from './erasure/shard-wire.ts'
import { VOLUME_COUNTERS, type VolumeTraffic } from './volume-counters.ts'

export const PROTOCOL_VERSION = 1
/** Always 1 until masters elect a leader. */
export const EPOCH = 1
export const HEARTBEAT_PATH = '/cluster/heartbeat'
export const VOLUME_ADMIN_PATH = '/admin/volume/'
/** Where a volume is, for servers: clients ask `/dir/lookup`. */
export const CLUSTER_LOOKUP_PATH = '/cluster/lookup'
/** Ids for blobs, for servers: clients ask `/dir/assign`. */
export const CLUSTER_ASSIGN_PATH = '/cluster/assign'
/** What an administrator asks of a master. */
export const CLUSTER_ADMIN_PATH = '/cluster/admin/'
/** The error's code, in replies of volume servers: one status stands for several. */
export const ERROR_CODE_HEADER = 'x-cairn-error'
/** CRC32C of the piece in a reply to `read`, 8 hex digits. */
export const PIECE_CHECKSUM_HEADER = 'x-cairn-crc32c'

export interface Envelope {
  protocolVersion: number
  /** The sender: a UUID kept in its data directory. */
  nodeId: string
  epoch: number
}

/** A volume server's whole state. */
export interface Heartbeat extends Envelope {
  /** New at each start, so that a late message of a past life is told apart. */
  bootId: string
  /** Grows by one with each heartbeat of a boot. */
  sequence: number
  /** How often this node means to send one. */
  periodMs: number
  /** `host:port` for other nodes, and the name of the node in status pages. */
  url: string
  /** `host:port` for clients. */
  publicUrl: string
  /** '' means the default one. */
  dataCenter: string
  rack: string
  /** A volume takes no writes above this size. */
  volumeSizeLimitBytes: number
  /** The node stops now: take it out at once. */
  leaving: boolean
  /** What it has done since its start. */
  traffic?: VolumeTraffic
  directories: DirectoryInfo[]
  volumes: VolumeInfo[]
}

export interface HeartbeatReply extends Envelope {
  /** The cluster that the master keeps; a node that moves between clusters sees it change. */
  clusterId: string
}

/** What a master asks of a volume server, by the last part of the path. */
export interface VolumeAdminRequests extends ShardRequests {
  create: { volume: NewVolume }
  delete: { id: number }
  compact: { id: number; garbageThreshold: number }
  readonly: { id: number; readOnly: boolean }
  /** Closes a volume for a move, and replies `volume`, a HeldVolume; or gives the move up. */
  hold: { id: number; moving: boolean }
  /** Replies `volume` of a held one. */
  describe: { id: number }
  /** Replies bytes. */
  read: VolumePiece
  /** Copies a held volume from another server, and verifies it. Replies `bytes`, `records`, `recordsDamaged`. */
  fetch: { id: number; source: string; sourceNodeId: string }
  /** Opens what was fetched, held. Replies `volume`. */
  adopt: { id: number }
  /** Forgets what was fetched. */
  drop: { id: number }
  /** Replies `volumes`, each a BlobVolume. */
  list: object
  /** Replies `needles`, `next` and `revision` of a listing, up to NEEDLES_PER_LISTING_MAX entries from `fromEntry`, before `endEntry`. */
  needles: { id: number; fromEntry: number; endEntry: number }
  /** Removes a held volume that was adopted elsewhere, if it is still as described. */
  handover: { volume: HeldVolume }
}

export interface VolumePiece {
  id: number
  file: CopiedFile
  compactionRevision: number
  offset: number
  lengthBytes: number
}

export type VolumeAdminOperation = keyof VolumeAdminRequests

/** The receiver is named, so that a message recorded on its way to one node is worth nothing at another. */
export type VolumeAdminRequest<O extends VolumeAdminOperation> = Envelope & {
  toNodeId: string
} & VolumeAdminRequests[O]

export interface CompactResult {
  compacted: boolean
  garbageRatio: number
}

/** Body of every reply that is not 200: the reason, and the code that rebuilds the error on the other side. */
export interface ErrorReply {
  error: string
  code: ErrorCode
}

const U32_MAX = 0xffffffff
const TEXT_BYTES_MAX = 4096
const DIRECTORIES_MAX = 1024
const PERIOD_MS_MAX = 3_600_000
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const HOST_PORT = /^(\[[0-9a-fA-F:.%]{2,64}\]|[A-Za-z0-9._-]{1,253}):[0-9]{1,5}$/

/** True for `host:port`, IPv6 in brackets. */
function isHostPort(text: string): boolean {
  return HOST_PORT.test(text) && Number(text.slice(text.lastIndexOf(':') + 1)) <= 65_535
}

/**
 * Reads a message's JSON and checks its envelope. Throws `bad_request`, or `unsupported` for another protocol
 * version or epoch, which says both versions.
 */
export function parseMessage(body: Buffer): Fields {
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8'))
  } catch (error) {
    throw new StoreError('bad_request', 'the cluster message is not JSON', { cause: error })
  }
  const fields = new Fields(value, 'message')
  const version = fields.number('protocolVersion', U32_MAX)
  if (version !== PROTOCOL_VERSION) {
    throw new StoreError(
      'unsupported',
      `cluster protocol version ${version}; this process speaks ${PROTOCOL_VERSION}`,
    )
  }
  const epoch = fields.number('epoch', Number.MAX_SAFE_INTEGER)
  if (epoch !== EPOCH)
    throw new StoreError('unsupported', `cluster epoch ${epoch}; this process is in ${EPOCH}`)
  fields.uuid('nodeId')
  return fields
}

/** Throws `bad_request` or `unsupported` with the reason. */
export function parseHeartbeat(body: Buffer): Heartbeat {
  const fields = parseMessage(body)
  return {
    protocolVersion: PROTOCOL_VERSION,
    epoch: EPOCH,
    nodeId: fields.uuid('nodeId'),
    bootId: fields.text('bootId'),
    sequence: fields.number('sequence', Number.MAX_SAFE_INTEGER),
    periodMs: Math.max(1, fields.number('periodMs', PERIOD_MS_MAX)),
    url: fields.hostPort('url'),
    publicUrl: fields.hostPort('publicUrl'),
    dataCenter: fields.text('dataCenter'),
    rack: fields.text('rack'),
    volumeSizeLimitBytes: fields.number('volumeSizeLimitBytes', Number.MAX_SAFE_INTEGER),
    leaving: fields.flag('leaving'),
    traffic: fields.has('traffic') ? parseTraffic(fields.object('traffic')) : undefined,
    directories: fields.list('directories', DIRECTORIES_MAX).map(parseDirectory),
    volumes: fields.list('volumes', VOLUMES_PER_SERVER_MAX).map(parseVolume),
  }
}

function parseTraffic(fields: Fields): VolumeTraffic {
  const counts = VOLUME_COUNTERS.map((name) => [name, fields.number(name, Number.MAX_SAFE_INTEGER)])
  return Object.fromEntries(counts) as VolumeTraffic
}

function parseDirectory(fields: Fields): DirectoryInfo {
  return {
    path: fields.text('path'),
    totalBytes: fields.number('totalBytes', Number.MAX_SAFE_INTEGER),
    freeBytes: fields.number('freeBytes', Number.MAX_SAFE_INTEGER),
    volumeCount: fields.number('volumeCount', U32_MAX),
    volumeCountMax: fields.number('volumeCountMax', U32_MAX),
    failed: fields.flag('failed'),
    forShards: fields.has('forShards') && fields.flag('forShards'),
    ...(fields.has('disk') ? { disk: fields.number('disk', Number.MAX_SAFE_INTEGER) } : {}),
  }
}

function parseVolume(fields: Fields): VolumeInfo {
  return {
    id: fields.number('id', U32_MAX),
    collection: fields.text('collection'),
    directory: fields.text('directory'),
    replicaPlacement: fields.number('replicaPlacement', 255),
    ttl: fields.number('ttl', 0xffff),
    sizeBytes: fields.number('sizeBytes', Number.MAX_SAFE_INTEGER),
    fileCount: fields.number('fileCount', Number.MAX_SAFE_INTEGER),
    deleteCount: fields.number('deleteCount', Number.MAX_SAFE_INTEGER),
    deletedBytes: fields.number('deletedBytes', Number.MAX_SAFE_INTEGER),
    readOnly: fields.flag('readOnly'),
    moving: fields.has('moving') && fields.flag('moving'),
    filling: fields.has('filling') && fields.flag('filling'),
    full: fields.flag('full'),
    failed: fields.flag('failed'),
    diskFull: fields.flag('diskFull'),
    damageFound: fields.number('damageFound', Number.MAX_SAFE_INTEGER),
    compactionRevision: fields.number('compactionRevision', 0xffff),
    maxKeyHigh: fields.number('maxKeyHigh', U32_MAX),
    maxKeyLow: fields.number('maxKeyLow', U32_MAX),
    modifiedS: fields.number('modifiedS', Number.MAX_SAFE_INTEGER),
  }
}

/** Throws `bad_request`, `unsupported`, or `forbidden` when the message was meant for another node. */
export function parseVolumeAdminRequest<O extends VolumeAdminOperation>(
  operation: O,
  body: Buffer,
  ownNodeId: string,
): VolumeAdminRequest<O> {
  const fields = parseMessage(body)
  const toNodeId = fields.uuid('toNodeId')
  if (toNodeId !== ownNodeId) throw new StoreError('forbidden', `this is node ${ownNodeId}, not ${toNodeId}`)
  const envelope = {
    protocolVersion: PROTOCOL_VERSION,
    epoch: EPOCH,
    nodeId: fields.uuid('nodeId'),
    toNodeId,
  }
  const idOnly = () => ({ id: fields.number('id', U32_MAX) })
  const read: { [Name in VolumeAdminOperation]: () => VolumeAdminRequests[Name] } = {
    create: () => ({ volume: parseNewVolume(fields.object('volume')) }),
    delete: idOnly,
    compact: () => ({ id: fields.number('id', U32_MAX), garbageThreshold: fields.share('garbageThreshold') }),
    readonly: () => ({ id: fields.number('id', U32_MAX), readOnly: fields.flag('readOnly') }),
    hold: () => ({ id: fields.number('id', U32_MAX), moving: fields.flag('moving') }),
    describe: idOnly,
    read: () => parsePiece(fields),
    fetch: () => ({
      id: fields.number('id', U32_MAX),
      source: fields.hostPort('source'),
      sourceNodeId: fields.uuid('sourceNodeId'),
    }),
    adopt: idOnly,
    drop: idOnly,
    list: () => ({}),
    needles: () => ({
      id: fields.number('id', U32_MAX),
      fromEntry: fields.number('fromEntry', U32_MAX),
      endEntry: fields.number('endEntry', U32_MAX),
    }),
    handover: () => ({ volume: parseHeldVolume(fields.object('volume')) }),
    shardkeys: () => ({
      id: fields.number('id', U32_MAX),
      from: fields.hex('from', 16),
      through: fields.hex('through', 16),
      live: fields.number('live', U32_MAX),
      checksum: fields.number('checksum', U32_MAX),
      countMax: fields.number('countMax', SHARD_ENTRIES_MAX),
    }),
    shardentries: () => ({
      id: fields.number('id', U32_MAX),
      filesEpoch: fields.number('filesEpoch', U32_MAX),
      isKnown: fields.flag('isKnown'),
      entries: fields.number('entries', U32_MAX),
    }),
    shardstates: () => ({
      id: fields.number('id', U32_MAX),
      keys: fields.hex('keys', SHARD_KEYS_TEXT_MAX),
    }),
    sharddata: () => ({ id: fields.number('id', U32_MAX), keys: fields.hex('keys', SHARD_KEYS_TEXT_MAX) }),
  }
  return { ...envelope, ...read[operation]() } as VolumeAdminRequest<O>
}

function parseNewVolume(volume: Fields): NewVolume {
  return {
    id: volume.number('id', U32_MAX),
    collection: volume.text('collection'),
    replicaPlacement: volume.number('replicaPlacement', 255),
    ttl: volume.number('ttl', 0xffff),
    ...(volume.has('directory') ? { directory: volume.text('directory') } : {}),
    ...(volume.has('filling') ? { filling: volume.flag('filling') } : {}),
  }
}

function parsePiece(fields: Fields): VolumePiece {
  return {
    id: fields.number('id', U32_MAX),
    file: parseCopiedFile(fields),
    compactionRevision: fields.number('compactionRevision', 0xffff),
    offset: fields.number('offset', VOLUME_SIZE_BYTES_MAX),
    lengthBytes: fields.number('lengthBytes', VOLUME_PIECE_BYTES_MAX),
  }
}

function parseCopiedFile(fields: Fields): CopiedFile {
  const name = fields.text('file')
  const file = COPIED_FILES.find((each) => each === name)
  if (file === undefined) throw new StoreError('bad_request', 'the message has no valid file')
  return file
}

/** Throws `bad_request`. */
export function parseHeldVolume(fields: Fields): HeldVolume {
  return {
    id: fields.number('id', U32_MAX),
    collection: fields.text('collection'),
    compactionRevision: fields.number('compactionRevision', 0xffff),
    appendNsHigh: fields.number('appendNsHigh', U32_MAX),
    appendNsLow: fields.number('appendNsLow', U32_MAX),
    files: fields.list('files', COPIED_FILES.length).map((each) => ({
      file: parseCopiedFile(each),
      sizeBytes: each.number('sizeBytes', VOLUME_SIZE_BYTES_MAX),
    })),
  }
}

/** The StoreError that an error reply stands for. */
export function errorOfReply(status: number, body: Buffer, from: string): StoreError {
  let [code, reason]: [ErrorCode, string] = ['internal', `HTTP status ${status}`]
  try {
    const reply = JSON.parse(body.toString('utf8')) as Partial<ErrorReply> | null
    if (typeof reply?.error === 'string') reason = reply.error.slice(0, TEXT_BYTES_MAX)
    const known = ERROR_CODES.find((each) => each === reply?.code)
    code = known ?? (status === 401 ? 'unauthorized' : status === 404 ? 'not_found' : code)
  } catch {
    // Not one of our replies: the status alone says what there is to say.
  }
  return new StoreError(code, `${from}: ${reason}`)
}

/** Reads typed fields out of JSON that a peer sent; each getter throws `bad_request` naming the field. */
export class Fields {
  readonly #values: Record<string, unknown>
  readonly #what: string

  constructor(value: unknown, what: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new StoreError('bad_request', `${what} is not an object`)
    }
    this.#values = value as Record<string, unknown>
    this.#what = what
  }

  has(name: string): boolean {
    return this.#values[name] !== undefined
  }

  /** A whole number from 0 to `max`. */
  number(name: string, max: number): number {
    const value = this.#values[name]
    if (!Number.isSafeInteger(value) || (value as number) < 0 || (value as number) > max) this.#fail(name)
    return value as number
  }

  /** A number from 0 to 1. */
  share(name: string): number {
    const value = this.#values[name]
    if (typeof value !== 'number' || !(value >= 0 && value <= 1)) this.#fail(name)
    return value as number
  }

  text(name: string): string {
    const value = this.#values[name]
    if (typeof value !== 'string' || Buffer.byteLength(value) > TEXT_BYTES_MAX) this.#fail(name)
    return value as string
  }

  /** Hexadecimal digits, possibly none. */
  hex(name: string, digitsMax: number): string {
    const value = this.#values[name]
    if (typeof value !== 'string' || value.length > digitsMax || !/^([0-9a-f]{2})*$/.test(value))
      this.#fail(name)
    return value as string
  }

  uuid(name: string): string {
    const value = this.text(name)
    if (!UUID.test(value)) this.#fail(name)
    return value
  }

  hostPort(name: string): string {
    const value = this.text(name)
    if (!isHostPort(value)) this.#fail(name)
    return value
  }

  flag(name: string): boolean {
    const value = this.#values[name]
    if (typeof value !== 'boolean') this.#fail(name)
    return value as boolean
  }

  object(name: string): Fields {
    return new Fields(this.#values[name], name)
  }

  list(name: string, countMax: number): Fields[] {
    const value = this.#values[name]
    if (!Array.isArray(value) || value.length > countMax) this.#fail(name)
    return (value as unknown[]).map((each) => new Fields(each, name))
  }

  #fail(name: string): never {
    throw new StoreError('bad_request', `${this.#what} has no valid ${name}`)
  }
}
