/** A member of an erasure group on another volume server, asked through the cluster's calls. */
import { crc32c } from '../../base/checksum.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import { SHARD_CALL_MS_MAX, SHARD_REPLY_BYTES_MAX } from '../../base/limits.ts'
import type { TimedMarks } from '../../base/timed-marks.ts'
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
  /** Servers that took a call and did not answer, by their ids, for NODE_SILENCE_MS: so not each group waits for them. */
  silence: TimedMarks<string>
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
      if (toStoreError(error).code === 'timeout') silence.add(nodeId)
      throw error
    }
  }
}
