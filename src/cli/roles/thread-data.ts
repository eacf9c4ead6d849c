/** What the main thread gives to the threads of a volume server when it starts them. */
import type { MessagePort } from 'node:worker_threads'
import type { LogFormat, LogLevel } from '../../base/log.ts'
import type { ReadMode } from '../../base/read-mode.ts'
import type { SyncMode } from '../../blobs/volume-server.ts'
import type { SharedVolumes } from '../../disk/thread-context.ts'
import type { HttpServerSettings } from '../../net/http-server.ts'
import type { DoorSecrets, HostPort } from './doors.ts'

export interface CommonThreadData {
  shared: SharedVolumes
  /** Memory of the VolumeCounters. */
  counters: SharedArrayBuffer
  log: { level: LogLevel; format: LogFormat }
  secrets: DoorSecrets
  nodeId: string
  masters: string[]
  /** Calls from the main thread. */
  control: MessagePort
}

export interface KeeperThreadData extends CommonThreadData {
  volumeSizeLimitBytes: number
  volumesPerDirectoryMax: number
  garbageThreshold: number
  ballastBytes: number
  scrubRateBytes: number
  scrubPeriodMs: number
  heartbeatMs: number
  dataCenter: string
  rack: string
  /** One for each volume thread. */
  callers: MessagePort[]
}

export interface VolumeThreadData extends CommonThreadData {
  /** This thread's number, from 0. */
  thread: number
  /** Memory of the BodyBudget. */
  budget: SharedArrayBuffer
  bodyBytesInFlightMax: number
  fileSizeBytesMax: number
  sync: SyncMode
  gzip: boolean
  fixJpegOrientation: boolean
  /** Memory of the HeavyJobs. */
  heavyJobs: SharedArrayBuffer
  readMode: ReadMode
  settings: Partial<HttpServerSettings>
  /** To the keeper. */
  keeper: MessagePort
}

/** What the main thread may ask of the keeper thread. */
export interface KeeperControl {
  /** Opens all volumes; resolves when they can be used. */
  open(): Promise<void>
  /** Starts heartbeats; the doors are open. */
  announce(at: { url: string; publicUrl: string }): Promise<void>
  /** Tells the masters that the node leaves. */
  leave(): Promise<void>
  /** Writes the last checkpoints and closes the files. */
  stop(): Promise<void>
}

/** What the main thread may ask of a volume thread. */
export interface VolumeControl {
  listen(at: HostPort): Promise<number>
  stop(): Promise<void>
}
