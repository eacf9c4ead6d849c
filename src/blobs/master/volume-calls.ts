/** The master's calls to volume servers. */
import { CLUSTER_CALL_MS_MAX, COMPACT_CALL_MS_MAX } from '../../base/limits.ts'
import type { NewVolume } from '../../disk/volume-admin.ts'
import type { ClusterClient } from '../cluster-client.ts'
import {
  type CompactResult,
  EPOCH,
  type Fields,
  PROTOCOL_VERSION,
  VOLUME_ADMIN_PATH,
  type VolumeAdminOperation,
  type VolumeAdminRequests,
} from '../cluster-wire.ts'
import type { TopologyNode } from './topology.ts'

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
      timeoutMs: operation === 'compact' ? COMPACT_CALL_MS_MAX : CLUSTER_CALL_MS_MAX,
    })
  }
}
