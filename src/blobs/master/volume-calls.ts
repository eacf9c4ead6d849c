/** The master's calls to volume servers. */
import { CLUSTER_CALL_MS_MAX, COMPACT_CALL_MS_MAX, MOVE_CALL_MS_MAX } from '../../base/limits.ts'
import type { NewVolume } from '../../disk/volume-admin.ts'
import type { HeldVolume } from '../../disk/volume-copies.ts'
import type { ClusterClient } from '../cluster-client.ts'
import {
  type CompactResult,
  EPOCH,
  type Fields,
  PROTOCOL_VERSION,
  parseHeldVolume,
  VOLUME_ADMIN_PATH,
  type VolumeAdminOperation,
  type VolumeAdminRequests,
} from '../cluster-wire.ts'
import type { TopologyNode } from './topology-node.ts'

type Target = Pick<TopologyNode, 'nodeId' | 'url'>

/** Each throws the volume server's own StoreError, or `timeout`, `unavailable`, `io_error`. */
export class VolumeCalls {
  readonly #client: ClusterClient
  readonly #masterId: string

  /** `masterId`: the UUID that this master signs as. */
  constructor(client: ClusterClient, masterId: string) {
    this.#client = client
    this.#masterId = masterId
  }

  async create(node: Target, volume: NewVolume): Promise<void> {
    await this.#call(node, 'create', { volume })
  }

  async delete(node: Target, id: number): Promise<void> {
    await this.#call(node, 'delete', { id })
  }

  async setReadOnly(node: Target, id: number, readOnly: boolean): Promise<void> {
    await this.#call(node, 'readonly', { id, readOnly })
  }

  /** Waits for the compaction, up to COMPACT_CALL_MS_MAX. */
  async compact(node: Target, id: number, garbageThreshold: number): Promise<CompactResult> {
    const reply = await this.#call(node, 'compact', { id, garbageThreshold })
    return { compacted: reply.flag('compacted'), garbageRatio: reply.share('garbageRatio') }
  }

  /** Closes a volume for a move; it stays closed until `release`, whatever happens. */
  async hold(node: Target, id: number): Promise<HeldVolume> {
    return parseHeldVolume((await this.#call(node, 'hold', { id, moving: true })).object('volume'))
  }

  async release(node: Target, id: number): Promise<void> {
    await this.#call(node, 'hold', { id, moving: false })
  }

  async describe(node: Target, id: number): Promise<HeldVolume> {
    return parseHeldVolume((await this.#call(node, 'describe', { id })).object('volume'))
  }

  /** Waits for the copy, up to MOVE_CALL_MS_MAX. */
  async fetch(node: Target, id: number, source: Target): Promise<{ bytes: number; recordsDamaged: number }> {
    const request = { id, source: source.url, sourceNodeId: source.nodeId }
    const reply = await this.#call(node, 'fetch', request)
    const number = (name: string) => reply.number(name, Number.MAX_SAFE_INTEGER)
    return { bytes: number('bytes'), recordsDamaged: number('recordsDamaged') }
  }

  async adopt(node: Target, id: number): Promise<HeldVolume> {
    return parseHeldVolume((await this.#call(node, 'adopt', { id })).object('volume'))
  }

  async drop(node: Target, id: number): Promise<void> {
    await this.#call(node, 'drop', { id })
  }

  async handOver(node: Target, volume: HeldVolume): Promise<void> {
    await this.#call(node, 'handover', { volume })
  }

  #call<O extends VolumeAdminOperation>(
    node: Target,
    operation: O,
    request: VolumeAdminRequests[O],
  ): Promise<Fields> {
    return this.#client.post({
      hostPort: node.url,
      path: VOLUME_ADMIN_PATH + operation,
      message: {
        protocolVersion: PROTOCOL_VERSION,
        nodeId: this.#masterId,
        epoch: EPOCH,
        toNodeId: node.nodeId,
        ...request,
      },
      timeoutMs: timeLimitMs(operation),
    })
  }
}

function timeLimitMs(operation: VolumeAdminOperation): number {
  if (operation === 'compact') return COMPACT_CALL_MS_MAX
  return operation === 'fetch' ? MOVE_CALL_MS_MAX : CLUSTER_CALL_MS_MAX
}
