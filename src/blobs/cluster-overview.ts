/** What a master tells people of its cluster: its page at `/`, the same as JSON, and `cairn status`. */
import type { VolumeState } from './volume-info-json.ts'

export interface ClusterOverview {
  role: 'master'
  version: string
  clusterId: string
  /** `host:port` of the master. */
  url: string
  /** Milliseconds since 1970. */
  atMs: number
  /** Why "there is none" cannot be said yet, or undefined. */
  unknowing: string | undefined
  nodes: NodeOverview[]
  /** Classes of volumes. */
  layouts: LayoutOverview[]
  volumes: VolumeOverview[]
  /** Erasure groups. */
  groups: GroupOverview[]
}

export interface NodeOverview {
  nodeId: string
  url: string
  publicUrl: string
  dataCenter: string
  rack: string
  /** Since its last heartbeat. */
  silentMs: number
  volumeCount: number
  volumeCountMax: number
  totalBytes: number
  freeBytes: number
  /** Of all volumes' files, garbage included. */
  storedBytes: number
  garbageBytes: number
  fileCount: number
  damageFound: number
  volumesFailed: number
  directoriesFailed: string[]
  rates: NodeRates | undefined
}

/** Means over the last seconds. */
export interface NodeRates {
  readsPerS: number
  writesPerS: number
  deletesPerS: number
  failuresPerS: number
  receivedBytesPerS: number
  sentBytesPerS: number
}

export interface LayoutOverview {
  collection: string
  replication: string
  ttl: string
  volumeCount: number
  writableCount: number
}

/**
 * `degraded`: some volumes are away or are being filled, and everything can be read; `lost`: so many that it cannot, until
 * some come back.
 */
export type GroupHealth = 'healthy' | 'degraded' | 'lost'

export interface GroupOverview {
  /** The volume of its first shard. */
  id: number
  redundancy: string
  collection: string
  health: GroupHealth
  shardsWanted: number
  /** Volumes that are there and have everything. */
  shardsComplete: number
  /** Volumes that take the place of lost ones, and are being filled. */
  shardsFilling: number
}

export interface VolumeOverview {
  id: number
  /** `host:port` of its server. A volume with two copies is there twice. */
  node: string
  collection: string
  replication: string
  ttl: string
  state: VolumeState | 'second copy'
  sizeBytes: number
  garbageBytes: number
  fileCount: number
  damageFound: number
  compactionRevision: number
  modifiedS: number
}
