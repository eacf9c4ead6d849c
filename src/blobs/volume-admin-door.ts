/**
 * The volume server's side of the cluster's calls `/admin/volume/…`: who asks is verified, then the keeper does it. The
 * HTTP server only carries the bytes. A process has one such door, beside its keeper: it remembers which messages came.
 */
import { crc32c } from '../base/checksum.ts'
import { shardIndexOf } from '../base/erasure-id.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import { NEEDLES_PER_LISTING_MAX } from '../base/limits.ts'
import type { Offer, PortCaller } from '../base/port-calls.ts'
import type { VolumeAdmin } from '../disk/volume-admin.ts'
import type { VolumeCopies } from '../disk/volume-copies.ts'
import { listPage } from '../disk/volume-listing.ts'
import type { ClusterAuth, ClusterHead, ClusterMessage } from './cluster-auth.ts'
import { CLUSTER_STATUS } from './cluster-status.ts'
import {
  EPOCH,
  type ErrorReply,
  PIECE_CHECKSUM_HEADER,
  PROTOCOL_VERSION,
  parseVolumeAdminRequest,
  VOLUME_ADMIN_PATH,
  type VolumeAdminOperation,
  type VolumeAdminRequest,
} from './cluster-wire.ts'
import { listedBlobs } from './erasure/listed-blobs.ts'
import { answerShardRequest, isShardOperation, type ShardOperation } from './erasure/shard-wire.ts'
import { VolumeMember } from './erasure/volume-member.ts'
import { type LocalVolumes, localBlobVolumes } from './local-volumes.ts'
import type { VolumeFetch } from './volume-fetch.ts'

export interface VolumeAdminDoor {
  auth: ClusterAuth
  admin: VolumeAdmin
  /** Of this volume server. */
  nodeId: string
  /** For moves. */
  copies?: VolumeCopies
  fetch?: VolumeFetch
  /** For searches of what volumes hold. */
  listed?: LocalVolumes
}

export interface VolumeAdminReply {
  status: number
  /** Name, value, …; without one the body is JSON. */
  headers?: string[]
  body: string | Uint8Array
}

/** Where a process's cluster calls are verified and answered: one place, for a message must not come in twice. */
export interface ClusterDoor {
  /** Rejects only for bugs. */
  answer(message: ClusterMessage, authorization: string | undefined): Promise<VolumeAdminReply>
  /** Rejects with `unauthorized`, `too_many_requests`. */
  verify(message: ClusterMessage, authorization: string | undefined): Promise<void>
  /** As `verify` for a body that the caller has, and compares by itself. */
  useSignature(head: ClusterHead, authorization: string | undefined): Promise<void>
}

export function localClusterDoor(door: VolumeAdminDoor): ClusterDoor {
  return {
    answer: (message, authorization) => answerVolumeAdmin(door, message, authorization),
    verify: async (message, authorization) => door.auth.verify(message, authorization),
    useSignature: async (head, authorization) => void door.auth.verifyHead(head, authorization),
  }
}

/** What to offer on a port so that a `ClusterDoorPort` at its other end works. */
export function offerClusterDoor(door: ClusterDoor): Offer {
  return {
    clusterAnswer: (message: ClusterMessage, authorization) => door.answer(received(message), authorization),
    clusterVerify: (message: ClusterMessage, authorization) => door.verify(received(message), authorization),
    clusterUse: (head: ClusterHead, authorization) => door.useSignature(head, authorization),
  }
}

/** Bytes come out of a port as plain ones. */
function received(message: ClusterMessage): ClusterMessage {
  const { body } = message
  return { ...message, body: Buffer.from(body.buffer, body.byteOffset, body.length) }
}

export class ClusterDoorPort implements ClusterDoor {
  readonly #caller: PortCaller

  constructor(caller: PortCaller) {
    this.#caller = caller
  }

  answer(message: ClusterMessage, authorization: string | undefined): Promise<VolumeAdminReply> {
    return this.#caller.call('clusterAnswer', message, authorization)
  }

  verify(message: ClusterMessage, authorization: string | undefined): Promise<void> {
    return this.#caller.call('clusterVerify', message, authorization)
  }

  useSignature(head: ClusterHead, authorization: string | undefined): Promise<void> {
    return this.#caller.call('clusterUse', head, authorization)
  }
}

/** True for the paths that `answerVolumeAdmin` answers, query aside. */
export function isVolumeAdminPath(path: string): boolean {
  return path.startsWith(VOLUME_ADMIN_PATH)
}

/** Verifies and does one call. Nothing is thrown for what the caller or the disk did. */
export async function answerVolumeAdmin(
  door: VolumeAdminDoor,
  message: ClusterMessage,
  authorization: string | undefined,
): Promise<VolumeAdminReply> {
  try {
    const operation = operationOf(message)
    door.auth.verify(message, authorization)
    if (operation === 'read') return await readPiece(door, message.body)
    if (isShardOperation(operation)) return await answerShards(door, operation, message.body)
    const result = await OPERATIONS[operation](door, message.body)
    const reply = { protocolVersion: PROTOCOL_VERSION, nodeId: door.nodeId, epoch: EPOCH, ...result }
    return { status: 200, body: JSON.stringify(reply) }
  } catch (error) {
    return failedReply(error)
  }
}

/** What a call is answered that failed. */
export function failedReply(error: unknown): VolumeAdminReply {
  const { code, message } = toStoreError(error)
  const body = JSON.stringify({ error: message, code } satisfies ErrorReply)
  return { status: CLUSTER_STATUS[code], body }
}

function operationOf(message: ClusterMessage): VolumeAdminOperation {
  const name = message.path.slice(VOLUME_ADMIN_PATH.length)
  if (name !== 'read' && !isShardOperation(name) && !Object.hasOwn(OPERATIONS, name))
    throw new StoreError('not_found', 'no such cluster call')
  if (message.method !== 'POST') throw new StoreError('bad_request', 'cluster calls are POSTs')
  return name as VolumeAdminOperation
}

type Operation = (door: VolumeAdminDoor, body: Buffer) => Promise<object>

const OPERATIONS: Record<Exclude<VolumeAdminOperation, 'read' | ShardOperation>, Operation> = {
  async create(door, body) {
    await door.admin.createVolume(parse('create', door, body).volume)
    return {}
  },
  async delete(door, body) {
    await door.admin.deleteVolume(parse('delete', door, body).id)
    return {}
  },
  async readonly(door, body) {
    const { id, readOnly } = parse('readonly', door, body)
    await door.admin.setReadOnly(id, readOnly)
    return {}
  },
  async compact(door, body) {
    const { id, garbageThreshold } = parse('compact', door, body)
    return await door.admin.compactVolume(id, garbageThreshold)
  },
  async hold(door, body) {
    const { id, moving } = parse('hold', door, body)
    if (moving) return { volume: await copiesOf(door).hold(id) }
    copiesOf(door).release(id)
    return {}
  },
  async describe(door, body) {
    return { volume: copiesOf(door).describe(parse('describe', door, body).id) }
  },
  async fetch(door, body) {
    const request = parse('fetch', door, body)
    if (door.fetch === undefined) throw new StoreError('unsupported', 'this server copies no volumes')
    return await door.fetch.run(request)
  },
  async adopt(door, body) {
    return { volume: await copiesOf(door).adopt(parse('adopt', door, body).id) }
  },
  async drop(door, body) {
    copiesOf(door).drop(parse('drop', door, body).id)
    return {}
  },
  async list(door, body) {
    parse('list', door, body)
    return { volumes: localBlobVolumes(volumesOf(door)) }
  },
  async needles(door, body) {
    const { id, fromEntry, endEntry } = parse('needles', door, body)
    const volume = volumesOf(door).get(id)
    if (volume === undefined) throw new StoreError('volume_not_found', `volume ${id} not found`)
    const page = listPage(volume, fromEntry, Math.min(NEEDLES_PER_LISTING_MAX, endEntry - fromEntry))
    return { ...page, needles: listedBlobs(page.needles) }
  },
  async handover(door, body) {
    await copiesOf(door).handOver(parse('handover', door, body).volume)
    return {}
  },
}

/** What another server's repair wants to know of a member of an erasure group. */
async function answerShards(
  door: VolumeAdminDoor,
  operation: ShardOperation,
  body: Buffer,
): Promise<VolumeAdminReply> {
  const request = parse(operation, door, body)
  const volume = volumesOf(door).get(request.id)
  if (volume === undefined) throw new StoreError('volume_not_found', `volume ${request.id} not found`)
  const member = new VolumeMember(volume, shardIndexOf(request.id))
  return bytesReply(await answerShardRequest(operation, member, request))
}

async function readPiece(door: VolumeAdminDoor, body: Buffer): Promise<VolumeAdminReply> {
  const { bytes, checksum } = await copiesOf(door).read(parse('read', door, body))
  return bytesReply(bytes, checksum)
}

function bytesReply(bytes: Buffer, checksum = crc32c(bytes)): VolumeAdminReply {
  const hex = checksum.toString(16).padStart(8, '0')
  return {
    status: 200,
    headers: ['Content-Type', 'application/octet-stream', PIECE_CHECKSUM_HEADER, hex],
    body: bytes,
  }
}

function parse<O extends VolumeAdminOperation>(
  operation: O,
  door: VolumeAdminDoor,
  body: Buffer,
): VolumeAdminRequest<O> {
  return parseVolumeAdminRequest(operation, body, door.nodeId)
}

function volumesOf({ listed: volumes }: VolumeAdminDoor): LocalVolumes {
  if (volumes === undefined) throw new StoreError('unsupported', 'this server lists no volumes')
  return volumes
}

function copiesOf({ copies }: VolumeAdminDoor): VolumeCopies {
  if (copies === undefined) throw new StoreError('unsupported', 'this server copies no volumes')
  return copies
}
