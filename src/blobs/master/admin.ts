/** What an administrator asks of a master, and what servers ask it for: calls signed with the cluster's secret. */
import { StoreError } from '../../base/errors.ts'
import { ASSIGN_COUNT_MAX } from '../../base/limits.ts'
import { isRedundancy, type Redundancy } from '../../base/redundancy.ts'
import { CLUSTER_ADMIN_PATH, CLUSTER_ASSIGN_PATH, CLUSTER_LOOKUP_PATH, type Fields } from '../cluster-wire.ts'
import { isBesideFiles } from '../shard-files.ts'
import type { Master } from './master.ts'
import { clusterOverview, type OverviewContext } from './overview.ts'
import { checkCollection } from './params.ts'
import type { TopologyNode } from './topology-node.ts'

const VOLUME_ID_MAX = 0xffffffff

/** Whether a path is one of these calls. */
export function isSignedPath(path: string): boolean {
  return path === CLUSTER_LOOKUP_PATH || path === CLUSTER_ASSIGN_PATH || path.startsWith(CLUSTER_ADMIN_PATH)
}

/** The reply of a call that was verified. Throws `not_found`, `bad_request`, and what the call itself meets. */
export async function answerSigned(context: OverviewContext, path: string, fields: Fields): Promise<object> {
  const { master } = context
  if (path === CLUSTER_LOOKUP_PATH) return lookup(master, fields)
  if (path === CLUSTER_ASSIGN_PATH) return await assign(master, fields)
  switch (path.slice(CLUSTER_ADMIN_PATH.length)) {
    case 'status':
      return clusterOverview(context)
    case 'vacuum':
      return await vacuum(master, fields)
    case 'readonly':
      return await setReadOnly(master, fields)
    case 'delete':
      return await remove(master, fields)
    case 'move':
      return await master.mover.move(fields.number('id', VOLUME_ID_MAX), fields.text('to'))
    default:
      throw new StoreError('not_found', 'no such cluster call')
  }
}

function lookup(master: Master, fields: Fields): object {
  const id = fields.number('id', VOLUME_ID_MAX)
  const nodes = master.topology.lookup(id)
  const reason = nodes.length === 0 ? master.unknowing() : undefined
  if (reason !== undefined) throw new StoreError('unavailable', reason)
  const locations = nodes.map(({ nodeId, url, publicUrl, volumes }) => {
    const shardFiles = isBesideFiles(volumes.get(id)?.directory ?? '')
    return { nodeId, url, publicUrl, shardFiles }
  })
  return { locations }
}

/** Keys in a row, of one volume. Cookies are the asker's to choose. */
async function assign(master: Master, fields: Fields): Promise<object> {
  const collection = fields.text('collection')
  checkCollection(collection)
  const count = Math.max(1, fields.number('count', ASSIGN_COUNT_MAX))
  const { fid, node, members } = await master.assigner.assign({
    count,
    layout: { collection, replicaPlacement: 0, ttl: fields.number('ttl', 0xffff) },
    redundancy: fields.has('redundancy') ? redundancyOf(fields) : 'none',
    place: { dataCenter: '', rack: '', dataNode: '' },
    growCount: 0,
  })
  const { volumeId, keyHigh, keyLow } = fid
  return {
    ...{ volumeId, keyHigh, keyLow, count, url: node.url },
    members: members?.map((member) => ({ url: member?.url ?? '' })),
  }
}

function redundancyOf(fields: Fields): Redundancy {
  const text = fields.text('redundancy')
  if (!isRedundancy(text))
    throw new StoreError('unsupported', `this version has no redundancy ${text.slice(0, 64)}`)
  return text
}

async function vacuum(master: Master, fields: Fields): Promise<object> {
  const garbageThreshold = fields.share('garbageThreshold')
  const { id, node } = oneHolder(master, fields)
  return { node: node.url, ...(await master.calls.compact(node, id, garbageThreshold)) }
}

async function setReadOnly(master: Master, fields: Fields): Promise<object> {
  const readOnly = fields.flag('readOnly')
  const { id, node, copies } = oneHolder(master, fields)
  if (!readOnly) {
    if (master.mover.isMoving(id)) throw new StoreError('conflict', `volume ${id} is being moved`)
    if (copies > 1)
      throw new StoreError('conflict', `volume ${id} is on ${copies} servers: delete one, or finish its move`)
    // A move that was cut off: the administrator decides that this copy is the one.
    if (node.volumes.get(id)?.moving) await master.calls.release(node, id)
  }
  await master.calls.setReadOnly(node, id, readOnly)
  return { node: node.url }
}

async function remove(master: Master, fields: Fields): Promise<object> {
  const { id, node } = oneHolder(master, fields)
  const files = node.volumes.get(id)!
  const live = files.fileCount - files.deleteCount
  if (master.mover.isMoving(id)) throw new StoreError('conflict', `volume ${id} is being moved`)
  if (live > 0 && !fields.flag('force'))
    throw new StoreError('conflict', `volume ${id} on ${node.url} holds ${live} files: --force deletes them`)
  await master.deleteVolume(node, id)
  return { node: node.url, files: live }
}

/** The volume's server: the one that is named, or the only one. */
function oneHolder(master: Master, fields: Fields): { id: number; node: TopologyNode; copies: number } {
  const [id, name] = [fields.number('id', VOLUME_ID_MAX), fields.text('node')]
  const holders = master.topology.lookup(id)
  const named =
    name === '' ? holders : holders.filter((node) => [node.url, node.publicUrl, node.nodeId].includes(name))
  if (named.length === 0) {
    const reason = master.unknowing()
    if (reason !== undefined) throw new StoreError('unavailable', reason)
    throw new StoreError(
      'volume_not_found',
      `volume ${id} not found${name === '' ? '' : ` on ${name.slice(0, 256)}`}`,
    )
  }
  if (named.length > 1) {
    const urls = named.map((node) => node.url).join(' and ')
    throw new StoreError('conflict', `volume ${id} is on ${urls}: say which with --node`)
  }
  return { id, node: named[0]!, copies: holders.length }
}
