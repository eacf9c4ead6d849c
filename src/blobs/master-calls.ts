/** Calls to the cluster's master, signed: to those that are named, one after the other, or to the one that the bus knows. */
import { StoreError } from '../base/errors.ts'
import { CLUSTER_CALL_MS_MAX } from '../base/limits.ts'
import type { ClusterClient } from './cluster-client.ts'
import { EPOCH, type Fields, PROTOCOL_VERSION } from './cluster-wire.ts'

/** Where masters are: `host:port` each. */
export interface MasterAddresses {
  /** Those that are named, or that answered last. */
  known(): readonly string[]
  /** Looks for them again; absent where they are named. Throws `unavailable`. */
  find?(): Promise<readonly string[]>
}

export interface MasterCallsOptions {
  client: ClusterClient
  addresses: MasterAddresses
  /** Of this process. */
  nodeId: string
}

export class MasterCalls {
  readonly #options: MasterCallsOptions

  constructor(options: MasterCallsOptions) {
    this.#options = options
  }

  /** `host:port` of the master that is asked first; '' while none is known. */
  get first(): string {
    return this.#options.addresses.known()[0] ?? ''
  }

  /** The first reply that is no error; else throws the last one's error, `timeout`, or `unavailable`. */
  async post(path: string, fields: object, timeoutMs = CLUSTER_CALL_MS_MAX): Promise<Fields> {
    const { client, addresses, nodeId } = this.#options
    const message = { protocolVersion: PROTOCOL_VERSION, nodeId, epoch: EPOCH, ...fields }
    let failure: unknown = new StoreError('unavailable', 'no master is named')
    const tried = new Set<string>()
    for (const look of [async () => addresses.known(), async () => (await addresses.find?.()) ?? []]) {
      for (const hostPort of await look()) {
        if (tried.has(hostPort)) continue
        tried.add(hostPort)
        try {
          return await client.post({ hostPort, path, message, timeoutMs })
        } catch (error) {
          failure = error
        }
      }
    }
    throw failure
  }
}

/** Masters that flags name. */
export function namedMasters(masters: readonly string[]): MasterAddresses {
  return { known: () => masters }
}
