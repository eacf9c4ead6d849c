/**
 * The volume server's side of the master's calls `/admin/volume/{create,delete,compact,readonly}`:
 * who asks is verified, then the keeper does it. The HTTP server only carries the bytes.
 */
import { StoreError, toStoreError } from '../base/errors.ts'
import type { VolumeAdmin } from '../disk/volume-admin.ts'
import type { ClusterAuth, ClusterMessage } from './cluster-auth.ts'
import { CLUSTER_STATUS } from './cluster-status.ts'
import {
  EPOCH,
  type ErrorReply,
  PROTOCOL_VERSION,
  parseVolumeAdminRequest,
  VOLUME_ADMIN_PATH,
  type VolumeAdminOperation,
} from './cluster-wire.ts'

export interface VolumeAdminDoor {
  auth: ClusterAuth
  admin: VolumeAdmin
  /** Of this volume server. */
  nodeId: string
}

/** True for the paths that `answerVolumeAdmin` answers, query aside. */
export function isVolumeAdminPath(path: string): boolean {
  return path.startsWith(VOLUME_ADMIN_PATH)
}

/** Verifies and does one call. The reply's body is JSON; nothing is thrown for what the caller or the disk did. */
export async function answerVolumeAdmin(
  door: VolumeAdminDoor,
  message: ClusterMessage,
  authorization: string | undefined,
): Promise<{ status: number; body: string }> {
  try {
    const operation = operationOf(message)
    door.auth.verify(message, authorization)
    const result = await run(door, operation, message.body)
    const reply = { protocolVersion: PROTOCOL_VERSION, nodeId: door.nodeId, epoch: EPOCH, ...result }
    return { status: 200, body: JSON.stringify(reply) }
  } catch (error) {
    const { code, message: reason } = toStoreError(error)
    return {
      status: CLUSTER_STATUS[code],
      body: JSON.stringify({ error: reason, code } satisfies ErrorReply),
    }
  }
}

function operationOf(message: ClusterMessage): VolumeAdminOperation {
  const name = message.path.slice(VOLUME_ADMIN_PATH.length)
  if (name !== 'create' && name !== 'delete' && name !== 'compact' && name !== 'readonly') {
    throw new StoreError('not_found', 'no such cluster call')
  }
  if (message.method !== 'POST') throw new StoreError('bad_request', 'cluster calls are POSTs')
  return name
}

async function run(door: VolumeAdminDoor, operation: VolumeAdminOperation, body: Buffer): Promise<object> {
  const { admin, nodeId } = door
  switch (operation) {
    case 'create':
      await admin.createVolume(parseVolumeAdminRequest('create', body, nodeId).volume)
      return {}
    case 'delete':
      await admin.deleteVolume(parseVolumeAdminRequest('delete', body, nodeId).id)
      return {}
    case 'readonly': {
      const { id, readOnly } = parseVolumeAdminRequest('readonly', body, nodeId)
      await admin.setReadOnly(id, readOnly)
      return {}
    }
    case 'compact': {
      const { id, garbageThreshold } = parseVolumeAdminRequest('compact', body, nodeId)
      return await admin.compactVolume(id, garbageThreshold)
    }
  }
}
