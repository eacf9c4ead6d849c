/** What the main thread does for objects: their settings and secrets, and the thread that writes their metadata. */
import { join } from 'node:path'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import {
  META_CONNECTIONS_DEFAULT,
  META_CONNECTIONS_MIN,
  META_CONNECTIONS_PER_PROCESS,
} from '../../base/limits.ts'
import type { PortCaller } from '../../base/port-calls.ts'
import { VolumeCounters } from '../../blobs/volume-counters.ts'
import { Identities, type IdentitiesFile } from '../../iam/identities.ts'
import { isPostgresUrl } from '../../meta/open-meta-store.ts'
import { UPLOAD_LOAD_BYTES } from '../../objects/upload-load.ts'
import { S3Counters } from '../../protocols/s3/s3-counters.ts'
import type { Context } from '../command.ts'
import type { Config } from '../config.ts'
import type { OBJECT_SETTINGS } from '../server-settings.ts'
import { UsageError } from '../usage-error.ts'
import { makeDirectory } from './directories.ts'
import { type HostPort, readNamed } from './doors.ts'
import { type AccessKey, readOrMakeRootKey } from './root-credentials.ts'
import type {
  CollectorThreadData,
  HashThreadData,
  MetadataAccess,
  MetaThreadData,
  ObjectDoor,
  ObjectLayerData,
  ObjectMetricsData,
} from './thread-data.ts'
import { listenOnAll, type Threads } from './threads.ts'

export interface ObjectsRole {
  config: Config<(typeof OBJECT_SETTINGS)[number]>
  /** A PostgreSQL URL, or the existing directory of SQLite. */
  metadata: string
  root: AccessKey
  /** The file of accounts, which can be used. */
  identities: IdentitiesFile | undefined
  /** Where each door listens; those that are not named are not opened. */
  doors: ReadonlyMap<ObjectDoor, HostPort>
}

/**
 * Reads the files that the settings name, and makes what is missing in `directory`. A root key that is made is shown, once.
 * Throws `UsageError`, `io_error`.
 */
export function readObjectsRole(
  config: ObjectsRole['config'],
  { directory, doors }: { directory: string; doors: ObjectsRole['doors'] },
  { random, stdout }: Context,
): ObjectsRole {
  const metadata = config.metadata || join(directory, 'meta')
  if (!isPostgresUrl(metadata)) makeDirectory(metadata)
  const given = { accessKey: config.rootAccessKey, secretKey: config.rootSecretKey }
  const { made, ...root } = readOrMakeRootKey(given, directory, random)
  if (made !== undefined) {
    stdout.write(
      `Made the root key of this store. It is kept in ${made}.\n` +
        `  Access key: ${root.accessKey}\n  Secret key: ${root.secretKey}\n`,
    )
  }
  const identities = readIdentities(config.identities, root)
  return { config, metadata, root, identities, doors }
}

/** Throws `UsageError` for a file that says something impossible. */
function readIdentities(path: string, root: AccessKey): IdentitiesFile | undefined {
  if (path === '') return undefined
  const file = { path, text: readNamed('--identities', path) }
  try {
    new Identities(root, file)
  } catch (error) {
    throw new UsageError(`--identities: ${(error as Error).message}`)
  }
  return file
}

/** Threads that compute digests: half as many as serve, within reason. */
const HASH_THREADS_MIN = 2
const HASH_THREADS_MAX = 8

/** What the collector's thread shares with the others of its process. */
export type CollectorParts = Omit<CollectorThreadData, 'control' | 'metadata' | 'garbageDelayMs' | 'counts'>

/**
 * The threads behind the object layers: the one that writes SQLite, where that is used, those that compute digests, and the
 * collector of garbage.
 */
export class ObjectThreads {
  readonly #threads: Threads
  readonly #role: ObjectsRole
  readonly #writer: PortCaller | undefined
  readonly #clients: MessagePort[] = []
  readonly #hashing: MessagePort[][]
  readonly #shared: Omit<ObjectMetricsData, 'collector'>
  readonly #collectorCounts = new MessageChannel()
  readonly #connectionsMax: number
  #collector: PortCaller | undefined

  /** `count`: threads that will ask for `dataOf`. */
  constructor(threads: Threads, role: ObjectsRole, count: number) {
    this.#threads = threads
    this.#role = role
    this.#shared = {
      s3Counters: S3Counters.share(count),
      filerCounters: VolumeCounters.share(count),
      uploadLoad: new SharedArrayBuffer(UPLOAD_LOAD_BYTES),
    }
    this.#hashing = startHashing(threads, count)
    const share = Math.floor(META_CONNECTIONS_PER_PROCESS / count)
    this.#connectionsMax = Math.max(META_CONNECTIONS_MIN, Math.min(META_CONNECTIONS_DEFAULT, share))
    if (isPostgresUrl(role.metadata)) return
    // The collector is one more.
    const channels = Array.from({ length: count + 1 }, () => new MessageChannel())
    this.#clients = channels.map(({ port1 }) => port1)
    this.#writer = startWriter(
      threads,
      role,
      channels.map(({ port2 }) => port2),
    )
  }

  /** What a thread with an object layer is given, and the ports in it. */
  dataOf(thread: number): { data: ObjectLayerData; ports: MessagePort[] } {
    const { config, root, identities } = this.#role
    const { metadata, ports } = this.#metadata()
    const hashing = this.#hashing[thread]!
    const data: ObjectLayerData = {
      ...this.#shared,
      metadata,
      hashing,
      root,
      identities,
      region: config.s3Region,
      domains: config.s3Domain,
      sigv2: config.sigv2,
      filerBuckets: config.filerBuckets,
    }
    return { data, ports: [...hashing, ...ports] }
  }

  #metadata(): { metadata: MetadataAccess; ports: MessagePort[] } {
    const writer = this.#clients.pop()
    const metadata = { url: this.#role.metadata, writer, connectionsMax: this.#connectionsMax }
    return { metadata, ports: writer === undefined ? [] : [writer] }
  }

  /** For whoever shows what they count. `collector` moves there. */
  get metrics(): ObjectMetricsData {
    return { ...this.#shared, collector: this.#collectorCounts.port1 }
  }

  startCollector(parts: CollectorParts): void {
    const { metadata, ports } = this.#metadata()
    const counts = this.#collectorCounts.port2
    this.#collector = this.#threads.start(new URL('./collector-thread.ts', import.meta.url), (control) => {
      const { garbageDelayMs } = this.#role.config
      const data: CollectorThreadData = { ...parts, control, metadata, garbageDelayMs, counts }
      return { data, ports: [...ports, counts] }
    })
  }

  /** Throws `unsupported` (a newer schema), `io_error`, `corrupt`, `in_use`. */
  async openMetadata(): Promise<void> {
    await this.#writer?.call('open')
  }

  /** The servers are there: what is left to be done behind them begins. */
  async collect(): Promise<void> {
    await this.#collector?.call('start')
  }

  async stop(): Promise<void> {
    await this.#collector?.call('stop')
    await this.#writer?.call('stop')
  }
}

function startWriter(threads: Threads, role: ObjectsRole, clients: MessagePort[]): PortCaller {
  const { logLevel: level, logFormat: format } = role.config
  return threads.start(new URL('./meta-thread.ts', import.meta.url), (control) => {
    const data: MetaThreadData = { log: { level, format }, directory: role.metadata, clients, control }
    return { data, ports: clients }
  })
}

/** Ports to all of them, for each of `count` threads. */
function startHashing(threads: Threads, count: number): MessagePort[][] {
  const perThread: MessagePort[][] = Array.from({ length: count }, () => [])
  const hashThreads = Math.min(HASH_THREADS_MAX, Math.max(HASH_THREADS_MIN, count >> 1))
  for (let each = 0; each < hashThreads; each++) {
    threads.start(new URL('./hash-thread.ts', import.meta.url), () => {
      const channels = perThread.map(() => new MessageChannel())
      for (const [thread, { port1 }] of channels.entries()) perThread[thread]!.push(port1)
      const data: HashThreadData = { ports: channels.map(({ port2 }) => port2) }
      return { data, ports: data.ports }
    })
  }
  return perThread
}

/** Opens the doors of names on all threads; gives where they listen. */
export async function openDoors(
  servers: readonly PortCaller[],
  objects: ObjectsRole,
  { log }: Context,
): Promise<Map<ObjectDoor, HostPort>> {
  const doors = new Map<ObjectDoor, HostPort>()
  await Promise.all(servers.map((server) => server.call('openObjects')))
  for (const [door, at] of objects.doors) {
    const port = await listenOnAll(servers, door, at)
    log.info({ role: door, address: `${at.host}:${port}`, threads: servers.length }, `${door} is listening`)
    doors.set(door, { host: at.host, port })
  }
  return doors
}
