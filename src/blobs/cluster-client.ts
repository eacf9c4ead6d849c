/** Sends signed messages to another process of the cluster and reads its reply. */
import { StoreError } from '../base/errors.ts'
import { CLUSTER_MESSAGE_BYTES_MAX } from '../base/limits.ts'
import type { HttpClient } from '../net/http-client.ts'
import type { ClusterAuth } from './cluster-auth.ts'
import { errorOfReply, Fields } from './cluster-wire.ts'

export interface ClusterClientOptions {
  http: HttpClient
  auth: ClusterAuth
  /** What the cluster's servers speak. */
  scheme: 'http' | 'https'
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
  async post(call: { hostPort: string; path: string; message: object; timeoutMs: number }): Promise<Fields> {
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
    const bytes = await reply.bytes(CLUSTER_MESSAGE_BYTES_MAX)
    if (reply.status !== 200) throw errorOfReply(reply.status, bytes, call.hostPort)
    return new Fields(parseJson(bytes, call.hostPort), 'reply')
  }
}

function parseJson(bytes: Buffer, from: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw new StoreError('io_error', `${from}: the reply is not JSON`, { cause: error })
  }
}
