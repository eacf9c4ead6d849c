/** Sends signed messages to another process of the cluster and reads its reply. */
import { StoreError } from '../base/errors.ts'
import { CLUSTER_MESSAGE_BYTES_MAX } from '../base/limits.ts'
import type { HttpClient, HttpReply } from '../net/http-client.ts'
import type { ClusterAuth } from './cluster-auth.ts'
import { errorOfReply, Fields, PIECE_CHECKSUM_HEADER } from './cluster-wire.ts'

export interface ClusterClientOptions {
  http: HttpClient
  auth: ClusterAuth
  /** What the cluster's servers speak. */
  scheme: 'http' | 'https'
}

export interface ClusterCall {
  hostPort: string
  path: string
  message: object
  timeoutMs: number
  /** Default CLUSTER_MESSAGE_BYTES_MAX. */
  replyBytesMax?: number
}

export class ClusterClient {
  readonly #options: ClusterClientOptions

  constructor(options: ClusterClientOptions) {
    this.#options = options
  }

  /**
   * POSTs a message to `hostPort` and returns the fields of the reply.
   * Throws the peer's own error as a StoreError, or `timeout`, `unavailable`, `io_error` when there is no reply.
   */
  async post(call: ClusterCall): Promise<Fields> {
    return new Fields(await this.postForJson(call), 'reply')
  }

  /** As `post`, for replies that only go on to people. */
  async postForJson(call: ClusterCall): Promise<unknown> {
    const { bytes } = await this.#send(call)
    return parseJson(bytes, call.hostPort)
  }

  /** As `post`, for a reply that is bytes with their checksum. `checksum` is NaN when the peer sent none. */
  async postForBytes(call: ClusterCall): Promise<{ bytes: Buffer; checksum: number }> {
    const { bytes, reply } = await this.#send(call)
    const checksum = reply.headers[PIECE_CHECKSUM_HEADER]
    return { bytes, checksum: Number.parseInt(typeof checksum === 'string' ? checksum : '', 16) }
  }

  async #send(call: ClusterCall): Promise<{ bytes: Buffer; reply: HttpReply }> {
    const { http, auth, scheme } = this.#options
    const body = Buffer.from(JSON.stringify(call.message))
    if (body.length > CLUSTER_MESSAGE_BYTES_MAX)
      throw new StoreError('too_large', `a message of ${body.length} bytes`)
    const reply = await http.request({
      method: 'POST',
      url: `${scheme}://${call.hostPort}${call.path}`,
      headers: {
        'content-type': 'application/json',
        authorization: auth.sign({ method: 'POST', path: call.path, body }),
      },
      body,
      timeoutMs: call.timeoutMs,
    })
    const bytes = await reply.bytes(call.replyBytesMax ?? CLUSTER_MESSAGE_BYTES_MAX)
    if (reply.status !== 200) throw errorOfReply(reply.status, bytes, call.hostPort)
    return { bytes, reply }
  }
}

function parseJson(bytes: Buffer, from: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw new StoreError('io_error', `${from}: the reply is not JSON`, { cause: error })
  }
}
