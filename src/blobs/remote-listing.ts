/** What the volumes of other servers hold, asked of them by calls signed with the cluster's secret. */
import { StoreError } from '../base/errors.ts'
import {
  CLUSTER_CALL_MS_MAX,
  NEEDLES_PER_LISTING_MAX,
  NODES_MAX,
  VOLUMES_PER_SERVER_MAX,
} from '../base/limits.ts'
import type { BlobVolume, ListedBlob } from './blob-store.ts'
import type { ClusterClient } from './cluster-client.ts'
import {
  CLUSTER_ADMIN_PATH,
  EPOCH,
  type Fields,
  PROTOCOL_VERSION,
  VOLUME_ADMIN_PATH,
  type VolumeAdminRequests,
} from './cluster-wire.ts'
import type { MasterCalls } from './master-calls.ts'

/** More than an index file can have. */
const ENTRIES_MAX = 0xffffffff

export interface RemoteListingOptions {
  client: ClusterClient
  masterCalls: MasterCalls
  /** Of this process: its own volumes are not asked for. */
  nodeId: string
  /** Of each call; default CLUSTER_CALL_MS_MAX. */
  timeoutMs?: number
}

interface Server {
  nodeId: string
  /** `host:port`. */
  url: string
}

export class RemoteListing {
  readonly #options: RemoteListingOptions

  constructor(options: RemoteListingOptions) {
    this.#options = options
  }

  /** Throws `unavailable`, `timeout` when a server that the master knows does not answer. */
  async volumes(): Promise<BlobVolume[]> {
    const found = await this.#allVolumes()
    return found.map(({ volume }) => volume)
  }

  /** In batches. Throws `unavailable` where no server has the volume, `conflict` when it was compacted meanwhile. */
  async *list(
    volumeId: number,
    fromEntry: number,
    endEntry = ENTRIES_MAX,
  ): AsyncGenerator<ListedBlob[], void, undefined> {
    const held = (await this.#allVolumes()).find(({ volume }) => volume.volumeId === volumeId)
    if (held === undefined) throw new StoreError('unavailable', `no server has volume ${volumeId} now`)
    const { server, volume } = held
    for (let at: number | undefined = fromEntry; at !== undefined && at < endEntry; ) {
      const reply: Fields = await this.#ask(server, 'needles', { id: volumeId, fromEntry: at, endEntry })
      if (reply.number('revision', 0xffff) !== volume.revision)
        throw new StoreError('conflict', `volume ${volumeId} was compacted meanwhile`)
      const batch = reply.list('needles', NEEDLES_PER_LISTING_MAX).map(parseNeedle)
      if (batch.length > 0) yield batch
      at = reply.has('next') ? reply.number('next', 0xffffffff) : undefined
    }
  }

  /** Of the other volume servers that the master knows, how many answer. Throws `unavailable`, `timeout` when no master does. */
  async answering(): Promise<{ known: number; up: number }> {
    const servers = await this.#servers()
    const answers = await Promise.allSettled(servers.map((server) => this.#ask(server, 'list', {})))
    return { known: servers.length, up: answers.filter(({ status }) => status === 'fulfilled').length }
  }

  async #allVolumes(): Promise<{ server: Server; volume: BlobVolume }[]> {
    const servers = await this.#servers()
    const lists = await Promise.all(
      servers.map(async (server) => {
        const reply = await this.#ask(server, 'list', {})
        return reply
          .list('volumes', VOLUMES_PER_SERVER_MAX)
          .map((each) => ({ server, volume: parseVolume(each) }))
      }),
    )
    return lists.flat()
  }

  /** Volume servers that the master knows, without this process. */
  async #servers(): Promise<Server[]> {
    const { masterCalls, nodeId, timeoutMs } = this.#options
    const reply = await masterCalls.post(`${CLUSTER_ADMIN_PATH}status`, {}, timeoutMs)
    if (reply.has('unknowing')) throw new StoreError('unavailable', reply.text('unknowing'))
    return reply
      .list('nodes', NODES_MAX)
      .map((node) => ({ nodeId: node.uuid('nodeId'), url: node.hostPort('url') }))
      .filter((server) => server.nodeId !== nodeId)
  }

  #ask<O extends 'list' | 'needles'>(
    server: Server,
    operation: O,
    request: VolumeAdminRequests[O],
  ): Promise<Fields> {
    return this.#options.client.post({
      hostPort: server.url,
      path: VOLUME_ADMIN_PATH + operation,
      message: {
        protocolVersion: PROTOCOL_VERSION,
        nodeId: this.#options.nodeId,
        epoch: EPOCH,
        toNodeId: server.nodeId,
        ...request,
      },
      timeoutMs: this.#options.timeoutMs ?? CLUSTER_CALL_MS_MAX,
    })
  }
}

function parseVolume(fields: Fields): BlobVolume {
  return {
    volumeId: fields.number('volumeId', 0xffffffff),
    collection: fields.text('collection'),
    entries: fields.number('entries', 0xffffffff),
    revision: fields.number('revision', 0xffff),
  }
}

function parseNeedle(fields: Fields): ListedBlob {
  const id = fields.object('id')
  const u32 = (name: string) => id.number(name, 0xffffffff)
  return {
    id: { volumeId: u32('volumeId'), keyHigh: u32('keyHigh'), keyLow: u32('keyLow'), cookie: u32('cookie') },
    sizeBytes: fields.number('sizeBytes', 0xffffffff),
    appendedMs: fields.number('appendedMs', Number.MAX_SAFE_INTEGER),
  }
}
