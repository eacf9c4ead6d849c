/** How a thread reaches the other servers of its cluster. */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import { ClusterAuth } from '../../blobs/cluster-auth.ts'
import { ClusterBus } from '../../blobs/cluster-bus.ts'
import { ClusterClient } from '../../blobs/cluster-client.ts'
import { MasterCalls, namedMasters } from '../../blobs/master-calls.ts'
import { type FindVolume, VolumeLocator } from '../../blobs/volume-locator.ts'
import { HttpClient } from '../../net/http-client.ts'
import type { DoorSecrets } from './doors.ts'

export interface ClusterParts {
  http: HttpClient
  auth: ClusterAuth
  client: ClusterClient
  /** What the cluster's servers speak. */
  scheme: 'http' | 'https'
  /** Where volumes are that this process does not have. */
  find: FindVolume
  masterCalls: MasterCalls
  /** Of this process. */
  nodeId: string
  /** Lets go of all connections. */
  close(): Promise<void>
}

/** Slow readers of files that live elsewhere must not keep others waiting for a connection. */
const CONNECTIONS_PER_SERVER_MAX = 1_000

export function clusterParts(options: {
  secrets: DoorSecrets
  masters: readonly string[]
  /** Address of the bus, or ''. It is not used where masters are named. */
  bus: string
  nodeId: string
  clock: Clock
  random: Random
  log: Log
}): ClusterParts {
  const { secrets, masters, nodeId, clock, random, log } = options
  const http = new HttpClient({
    ca: secrets.tls?.cert,
    connectionsPerHostMax: CONNECTIONS_PER_SERVER_MAX,
  })
  const scheme = secrets.tls === undefined ? 'http' : 'https'
  const auth = new ClusterAuth({ secret: Buffer.from(secrets.clusterSecret), clock, random })
  const client = new ClusterClient({ http, auth, scheme })
  const usesBus = options.bus !== '' && masters.length === 0
  const bus = usesBus ? new ClusterBus({ url: options.bus, auth, nodeId, clock, random, log }) : undefined
  bus?.start()
  const masterCalls = new MasterCalls({ client, addresses: bus ?? namedMasters(masters), nodeId })
  const locate = bus && ((volumeId: number) => bus.locate(volumeId))
  const { find } = new VolumeLocator({ masterCalls, locate, clock })
  const close = async () => {
    http.close()
    await bus?.close()
  }
  return { http, auth, client, scheme, find, masterCalls, nodeId, close }
}
