/** A member of an erasure group on another volume server, asked through the cluster's calls. */
import { crc32c } from '../../base/checksum.ts'
import type { Clock } from '../../base/clock.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import { SHARD_CALL_MS_MAX, SHARD_REPLY_BYTES_MAX } from '../../base/limits.ts'
import type { Key, NewEntries } from '../../disk/volume-keys.ts'
import type { ClusterClient } from '../cluster-client.ts'
import { EPOCH, PROTOCOL_VERSION, VOLUME_ADMIN_PATH } from '../cluster-wire.ts'
import type { KeyAnswer, KeyQuery } from './compare-keys.ts'
import type { BlobKey, EntryPlace, GroupMember, MemberStates } from './group-member.ts'
import {
  dataRequest,
  decodeAnswer,
  decodeData,
  decodeEntries,
  decodeStates,
  entriesRequest,
  keysRequest,
  type ShardOperation,
  type ShardRequests,
  statesRequest,
} from './shard-wire.ts'

/** Which servers took a call and did not answer, so that not each group waits for them. */
export class NodeSilence {
  readonly #clock: Clock
  /** Until when each is left alone, monotonic. */
  readonly #silent = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  has(nodeId: string): boolean {
    const untilMs = this.#silent.get(nodeId)
    if (untilMs === undefined) return false
    if (this.#clock.monotonicMs() < untilMs) return true
    this.#silent.delete(nodeId)
    return false
  }

  note(nodeId: string): void {
    this.#silent.set(nodeId, this.#clock.monotonicMs() + NODE_SILENCE_MS)
  }
}

/** A server that did not answer is not asked for so long. */
export const NODE_SILENCE_MS = 15_000

export interface RemoteMemberOptions {
  client: ClusterClient
  /** Of this process. */
  ownNodeId: string
  /** Of the server that has the volume. */
  nodeId: string
  /** `host:port`. */
  url: string
  volumeId: number
  shard: number
  /** A call failed: the volume may be elsewhere now. */
  onFailure: () => void
  silence: NodeSilence
}

export class RemoteMember implements GroupMember {
  readonly shard: number
  readonly #options: RemoteMemberOptions

  constructor(options: RemoteMemberOptions) {
    this.#options = options
    this.shard = options.shard
  }

  async keys(query: KeyQuery): Promise<KeyAnswer> {
    return decodeAnswer(await this.#ask('shardkeys', keysRequest(this.#id, query)))
  }

  async newEntries(from: EntryPlace): Promise<NewEntries> {
    return decodeEntries(await this.#ask('shardentries', entriesRequest(this.#id, from)))
  }

  async states(keys: readonly Key[]): Promise<MemberStates> {
    return decodeStates(await this.#ask('shardstates', statesRequest(this.#id, keys)), keys.length)
  }

  async data(keys: readonly BlobKey[]): Promise<(Buffer | undefined)[]> {
    return decodeData(await this.#ask('sharddata', dataRequest(this.#id, keys)), keys.length)
  }

  get #id(): number {
    return this.#options.volumeId
  }

  async #ask<O extends ShardOperation>(operation: O, request: ShardRequests[O]): Promise<Buffer> {
    const { client, ownNodeId, nodeId, url, onFailure, silence } = this.#options
    if (silence.has(nodeId)) throw new StoreError('unavailable', `${url} did not answer just now`)
    const envelope = { protocolVersion: PROTOCOL_VERSION, nodeId: ownNodeId, epoch: EPOCH, toNodeId: nodeId }
    try {
      const { bytes, checksum } = await client.postForBytes({
        hostPort: url,
        path: VOLUME_ADMIN_PATH + operation,
        message: { ...envelope, ...request },
        timeoutMs: SHARD_CALL_MS_MAX,
        replyBytesMax: SHARD_REPLY_BYTES_MAX,
      })
      if (crc32c(bytes) !== checksum)
        throw new StoreError('io_error', `${url}: a reply was changed on its way here`)
      return bytes
    } catch (error) {
      onFailure()
      if (toStoreError(error).code === 'timeout') silence.note(nodeId)
      throw error
    }
  }
}
