/** What the main thread gives to the threads of a volume server when it starts them. */
import type { MessagePort } from 'node:worker_threads'
import type { LogFormat, LogLevel } from '../../base/log.ts'
import type { ReadMode } from '../../base/read-mode.ts'
import type { Redundancy } from '../../base/redundancy.ts'
import type { SyncMode } from '../../blobs/volume-server.ts'
import type { SharedVolumes } from '../../disk/thread-context.ts'
import type { IdentitiesFile } from '../../iam/identities.ts'
import type { HttpServerSettings } from '../../net/http-server.ts'
import type { CollectorCounts } from '../../objects/collector.ts'
import type { LifecycleCounts } from '../../objects/lifecycle.ts'
import type { OrphanCounts } from '../../objects/orphans.ts'
import type { RedundancyRules } from '../../objects/redundancy-rules.ts'
import type { DoorSecrets, HostPort } from './doors.ts'
import type { AccessKey } from './root-credentials.ts'

export interface CommonThreadData {
  log: { level: LogLevel; format: LogFormat }
  secrets: DoorSecrets
  nodeId: string
  /** `host:port`. */
  masters: string[]
  /** Address of the bus, or ''. */
  bus: string
  /** Calls from the main thread. */
  control: MessagePort
}

/** Of the threads that have the process's volumes. */
export interface SharedThreadData extends CommonThreadData {
  shared: SharedVolumes
  /** Memory of the VolumeCounters. */
  counters: SharedArrayBuffer
}

export interface KeeperThreadData extends SharedThreadData {
  volumeSizeLimitBytes: number
  volumesPerDirectoryMax: number
  garbageThreshold: number
  ballastBytes: number
  /** Those of the directories that are for volumes of erasure groups alone. */
  shardDirectories?: string[]
  scrubRateBytes: number
  scrubPeriodMs: number
  repairPeriodMs: number
  heartbeatMs: number
  busHeartbeatMs: number
  dataCenter: string
  rack: string
  /** One for each volume thread. */
  callers: MessagePort[]
  /** What object layers count, where there are some. */
  objects: ObjectMetricsData | undefined
  /** Memory of the MemcachedCounters, where that door is. */
  memcached: SharedArrayBuffer | undefined
}

/** Where to learn what object layers count. */
export interface ObjectMetricsData {
  s3Counters: SharedArrayBuffer
  filerCounters: SharedArrayBuffer
  sfssCounters: SharedArrayBuffer
  hashstoreCounters: SharedArrayBuffer
  objectsCounters: SharedArrayBuffer
  uploadLoad: SharedArrayBuffer
  /** Of the upkeep thread. */
  counts: MessagePort
}

/** Of the threads that serve. */
export interface ServingThreadData {
  /** This thread's number, from 0. */
  thread: number
  /** Memory of the BodyBudget. */
  budget: SharedArrayBuffer
  bodyBytesInFlightMax: number
  sync: SyncMode
  settings: Partial<HttpServerSettings>
}

export interface VolumeThreadData extends SharedThreadData, ServingThreadData {
  fileSizeBytesMax: number
  gzip: boolean
  fixJpegOrientation: boolean
  /** Memory of the HeavyJobs. */
  heavyJobs: SharedArrayBuffer
  readMode: ReadMode
  /** To the keeper. */
  keeper: MessagePort
  /** Undefined: the volume door alone. */
  objects: ObjectLayerData | undefined
}

/** Of the threads of a process without volumes. */
export interface ObjectThreadData extends CommonThreadData, ServingThreadData {
  objects: ObjectLayerData
}

export interface MetricsPage {
  contentType: string
  text: string
}

/** What the upkeep thread did, and what waits. */
export interface UpkeepCounts extends CollectorCounts {
  /** Rows of garbage. */
  waiting: number
  orphans: OrphanCounts
  lifecycle: LifecycleCounts
}

/** What the main thread may ask of the keeper thread. */
export interface KeeperControl {
  /** Opens all volumes; resolves when they can be used. */
  open(): Promise<void>
  /** Starts heartbeats; the doors are open. */
  announce(at: { url: string; publicUrl: string }): Promise<void>
  metrics(): Promise<MetricsPage>
  /** Tells the masters that the node leaves. */
  leave(): Promise<void>
  /** Writes the last checkpoints and closes the files. */
  stop(): Promise<void>
}

/** Doors of names, which threads open beside that of the volumes. */
export type ObjectDoor = 'filer' | 's3' | 'website' | 'sfss' | 'hashstore' | 'objects'

/** How a thread comes to the metadata. */
export interface MetadataAccess {
  /** Of PostgreSQL, or the directory of SQLite. */
  url: string
  /** To the thread that writes SQLite. */
  writer: MessagePort | undefined
  /** Memory of its KeyChanges. */
  keyChanges: SharedArrayBuffer | undefined
  /** To PostgreSQL. */
  connectionsMax: number
}

/** What each thread with an object layer is given. */
export interface ObjectLayerData {
  metadata: MetadataAccess
  /** To each of the threads that compute digests. */
  hashing: MessagePort[]
  /** Memory of the UploadLoad. */
  uploadLoad: SharedArrayBuffer
  redundancy: RedundancyRules
  /** Memory of the BucketMemory. */
  bucketChanges: SharedArrayBuffer
  /** Memory of the WriterPresence. */
  presence: SharedArrayBuffer
  /** Memory of the S3Counters. */
  s3Counters: SharedArrayBuffer
  /** Memory of the filer's VolumeCounters. */
  filerCounters: SharedArrayBuffer
  root: AccessKey
  /** The file of accounts. */
  identities: IdentitiesFile | undefined
  region: string
  domains: readonly string[]
  websiteDomains: readonly string[]
  sigv2: boolean
  /** The file of encryption keys. */
  encryptionKeys: string | undefined
  sseCOverHttp: boolean
  filerBuckets: boolean
  /** Memory of the SfssCounters. */
  sfssCounters: SharedArrayBuffer
  sfssFileLimitBytes: number
  /** Memory of the HashstoreCounters. */
  hashstoreCounters: SharedArrayBuffer
  /** Memory of the WritesUnderWay. */
  hashstoreWrites: SharedArrayBuffer
  /** Memory of the VolumeCounters of objects with versions. */
  objectsCounters: SharedArrayBuffer
  /** A PUT of such an object must carry a Digest. */
  needsDigest: boolean
}

export interface HashThreadData {
  /** One for each thread that gives it bytes. */
  ports: MessagePort[]
}

/** Of threads behind the object layers, which reach blobs too. */
interface BehindThreadData extends CommonThreadData {
  /** Undefined: the process has no volumes. */
  shared: SharedVolumes | undefined
  sync: SyncMode
}

export interface UpkeepThreadData extends BehindThreadData {
  metadata: MetadataAccess
  /** Memory of the UploadLoad. */
  uploadLoad: SharedArrayBuffer
  redundancy: RedundancyRules
  garbageDelayMs: number
  lifecycleDayMs: number
  /** Asks it for `counts`. */
  counts: MessagePort
}

/** What the main thread may ask of the upkeep thread. */
export interface UpkeepControl {
  /** The metadata are open, and the cluster can be reached; nobody writes yet. */
  prepare(): Promise<void>
  start(): Promise<void>
  /** Ends the steps that are under way. Nobody writes any more. */
  stop(): Promise<void>
}

export interface MetaThreadData extends BehindThreadData {
  /** Directory of the SQLite file. */
  directory: string
  /** One for each thread that uses it. */
  clients: MessagePort[]
  /** Memory of the KeyChanges. */
  keyChanges: SharedArrayBuffer
  /** Copies of all changes go to the volumes. */
  journal: boolean
  /** Of those copies. */
  redundancy: Redundancy
}

/** What the main thread may ask of the thread that writes metadata. */
export interface MetaControl {
  /** Opens the file, brings its schema up to date, and to open volumes what they lost in a crash; then answers the clients. */
  open(): Promise<void>
  /** Begins to send copies to the volumes, which can be reached now. */
  ship(): Promise<void>
  /** Commits what waits. */
  stop(): Promise<void>
}

/** What the main thread may ask of a thread with an object layer. */
export interface ObjectControl {
  /** Builds the object layer; the metadata are open. */
  openObjects(): Promise<void>
  listen(door: ObjectDoor, at: HostPort): Promise<number>
  /** Other accounts from now on. */
  setIdentities(file: IdentitiesFile): Promise<void>
  /** Other encryption keys from now on. */
  setEncryptionKeys(text: string): Promise<void>
  /** Closes the doors of names, finishes their requests, and lets go of the object layer. */
  closeObjects(): Promise<void>
  /** After that: lets go of the rest. */
  stop(): Promise<void>
}

/** How memcached's protocol is spoken. */
export interface MemcachedData {
  /** Memory of the MemcachedCounters. */
  counters: SharedArrayBuffer
  valueBytesMax: number
  allowsFlush: boolean
  /** Values that are kept in memory as well. */
  cacheBytesMax: number
  idleTimeoutMs: number
}

/** Of the threads that serve sfss on servers of memcached's protocol. */
export interface SfssThreadData extends Omit<ServingThreadData, 'sync'> {
  log: CommonThreadData['log']
  secrets: Pick<DoorSecrets, 'tls' | 'basicAuthText'>
  nodes: HostPort[]
  /** Of each file. */
  copies: number
  /** Memory of the SfssCounters, the NodeCounters and the VersionClock. */
  counters: SharedArrayBuffer
  nodeCounters: SharedArrayBuffer
  versions: SharedArrayBuffer
  fileSizeBytesMax: number
  /** Calls from the main thread. */
  control: MessagePort
}

/** What the main thread may ask of such a thread. */
export interface SfssControl {
  listen(door: 'sfss', at: HostPort): Promise<number>
  stop(): Promise<void>
}

/** Of a process that speaks nothing but memcached's protocol. */
export interface MemcachedThreadData {
  log: CommonThreadData['log']
  shared: SharedVolumes
  sync: SyncMode
  bodyBytesInFlightMax: number
  memcached: MemcachedData
  /** To the keeper. */
  keeper: MessagePort
  /** Calls from the main thread. */
  control: MessagePort
}

/** What the main thread may ask of that thread. */
export interface MemcachedControl {
  listen(at: HostPort): Promise<number>
  /** Answers what was begun, and lets go of the volumes. */
  stop(): Promise<void>
}

/** As that, of a thread with volumes. */
export interface ServingControl extends Omit<ObjectControl, 'listen'> {
  listen(door: 'volume' | ObjectDoor, at: HostPort): Promise<number>
  /** On one thread only. */
  listenMemcached(data: MemcachedData, at: HostPort): Promise<number>
}
