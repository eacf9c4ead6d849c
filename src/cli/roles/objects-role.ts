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
import type { IdentitiesFile } from '../../iam/identities.ts'
import { KEY_CHANGES_BYTES } from '../../meta/key-changes.ts'
import { isPostgresUrl } from '../../meta/open-meta-store.ts'
import { BUCKET_CHANGES_BYTES } from '../../objects/bucket-memory.ts'
import { UPLOAD_LOAD_BYTES } from '../../objects/upload-load.ts'
import { presenceMemory } from '../../objects/writer-presence.ts'
import { HashstoreCounters } from '../../protocols/hashstore/hashstore-counters.ts'
import { WritesUnderWay } from '../../protocols/hashstore/writes-under-way.ts'
import { S3Counters } from '../../protocols/s3/s3-counters.ts'
import { SfssCounters } from '../../protocols/sfss/sfss-counters.ts'
import type { Context } from '../command.ts'
import type { Config } from '../config.ts'
import { redundancyRules } from '../redundancy-settings.ts'
import type { OBJECT_SETTINGS } from '../server-settings.ts'
import { makeDirectory } from './directories.ts'
import type { HostPort } from './doors.ts'
import { type KeyFile, readOrMakeKeyFile, watchKeyFile } from './encryption-keys.ts'
import { readIdentities, watchIdentities } from './identities-file.ts'
import { type AccessKey, readOrMakeRootKey } from './root-credentials.ts'
import type {
  HashThreadData,
  MetadataAccess,
  MetaThreadData,
  ObjectDoor,
  ObjectLayerData,
  ObjectMetricsData,
  UpkeepThreadData,
} from './thread-data.ts'
import { listenOnAll, type Threads } from './threads.ts'

export interface ObjectsRole {
  config: Config<(typeof OBJECT_SETTINGS)[number]>
  /** A PostgreSQL URL, or the existing directory of SQLite. */
  metadata: string
  root: AccessKey
  /** The file of accounts, which can be used. */
  identities: IdentitiesFile | undefined
  /** Undefined: nothing can be encrypted under keys of the installation. */
  keyFile: KeyFile | undefined
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
  { clock, random, stdout }: Context,
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
  const isShared = isPostgresUrl(metadata)
  const named = { given: config.encryptionKeys, directory, isShared }
  const keyFile = readOrMakeKeyFile(named, { clock, random })
  return { config, metadata, root, identities, keyFile, doors }
}

/** Threads that compute digests: half as many as serve, within reason. */
const HASH_THREADS_MIN = 2
const HASH_THREADS_MAX = 8

/** What the threads behind the object layers share with the others of their process. */
export type BehindParts = Omit<
  MetaThreadData,
  'control' | 'directory' | 'clients' | 'keyChanges' | 'journal' | 'redundancy'
>

/**
 * The threads behind the object layers: the one that writes SQLite, where that is used, those that compute digests, and the
 * one that looks after objects.
 */
export class ObjectThreads {
  readonly #role: ObjectsRole
  readonly #clients: MessagePort[] = []
  readonly #keyChanges = new SharedArrayBuffer(KEY_CHANGES_BYTES)
  readonly #hashing: MessagePort[][]
  readonly #shared: Omit<ObjectMetricsData, 'counts'> &
    Pick<ObjectLayerData, 'bucketChanges' | 'hashstoreWrites' | 'presence'>
  readonly #connectionsMax: number
  readonly #writer: PortCaller | undefined
  readonly #upkeep: PortCaller
  readonly #counts = new MessageChannel()

  /** `count`: threads that will ask for `dataOf`. */
  constructor(threads: Threads, role: ObjectsRole, { count, parts }: { count: number; parts: BehindParts }) {
    this.#role = role
    this.#shared = {
      s3Counters: S3Counters.share(count),
      filerCounters: VolumeCounters.share(count),
      sfssCounters: SfssCounters.share(count),
      hashstoreCounters: HashstoreCounters.share(count),
      hashstoreWrites: WritesUnderWay.share(),
      objectsCounters: VolumeCounters.share(count),
      uploadLoad: new SharedArrayBuffer(UPLOAD_LOAD_BYTES),
      bucketChanges: new SharedArrayBuffer(BUCKET_CHANGES_BYTES),
      presence: presenceMemory(count),
    }
    this.#hashing = startHashing(threads, count)
    const share = Math.floor(META_CONNECTIONS_PER_PROCESS / count)
    this.#connectionsMax = Math.max(META_CONNECTIONS_MIN, Math.min(META_CONNECTIONS_DEFAULT, share))
    if (!isPostgresUrl(role.metadata)) {
      // The upkeep thread is one more.
      const channels = Array.from({ length: count + 1 }, () => new MessageChannel())
      this.#clients = channels.map(({ port1 }) => port1)
      const clients = channels.map(({ port2 }) => port2)
      this.#writer = this.#startWriter(threads, parts, clients)
    }
    this.#upkeep = this.#startUpkeep(threads, parts)
  }

  #startWriter(threads: Threads, parts: BehindParts, clients: MessagePort[]): PortCaller {
    const { metadata: directory, config } = this.#role
    const { journal, redundancy } = config
    return threads.start(new URL('./meta-thread.ts', import.meta.url), (control) => {
      const keyChanges = this.#keyChanges
      const data: MetaThreadData = { ...parts, control, directory, clients, keyChanges, journal, redundancy }
      return { data, ports: clients }
    })
  }

  #startUpkeep(threads: Threads, parts: BehindParts): PortCaller {
    const { metadata, ports } = this.#metadata()
    const { garbageDelayMs, lifecycleDayMs } = this.#role.config
    const { uploadLoad } = this.#shared
    const counts = this.#counts.port2
    return threads.startBehind(new URL('./upkeep-thread.ts', import.meta.url), (control) => {
      const redundancy = redundancyRules(this.#role.config)
      const settings = { garbageDelayMs, lifecycleDayMs, uploadLoad, redundancy }
      const data: UpkeepThreadData = { ...parts, ...settings, control, metadata, counts }
      return { data, ports: [...ports, counts] }
    })
  }

  /** What a thread with an object layer is given, and the ports in it. */
  dataOf(thread: number): { data: ObjectLayerData; ports: MessagePort[] } {
    const { config, root, identities, keyFile } = this.#role
    const { metadata, ports } = this.#metadata()
    const hashing = this.#hashing[thread]!
    const data: ObjectLayerData = {
      ...this.#shared,
      redundancy: redundancyRules(config),
      metadata,
      hashing,
      root,
      identities,
      region: config.s3Region,
      domains: config.s3Domain,
      websiteDomains: config.s3WebsiteDomain,
      sigv2: config.sigv2,
      encryptionKeys: keyFile?.text,
      sseCOverHttp: config.sseCOverHttp,
      filerBuckets: config.filerBuckets,
      sfssFileLimitBytes: config.sfssFileLimitBytes,
      needsDigest: config.digest === 'required',
    }
    return { data, ports: [...hashing, ...ports] }
  }

  #metadata(): { metadata: MetadataAccess; ports: MessagePort[] } {
    const writer = this.#clients.pop()
    const keyChanges = writer && this.#keyChanges
    const metadata = { url: this.#role.metadata, writer, keyChanges, connectionsMax: this.#connectionsMax }
    return { metadata, ports: writer === undefined ? [] : [writer] }
  }

  /** For whoever shows what they count. `counts` moves there. */
  get metrics(): ObjectMetricsData {
    return { ...this.#shared, counts: this.#counts.port1 }
  }

  /** The volumes are open, where there are some. Throws `unsupported` (a newer schema), `io_error`, `corrupt`, `in_use`. */
  async openMetadata(): Promise<void> {
    await this.#writer?.call('open')
  }

  /** The cluster can be reached, and nobody writes yet. Throws `conflict` when its blobs are of other names than these. */
  async prepare(): Promise<void> {
    await this.#upkeep.call('prepare')
    await this.#writer?.call('ship')
  }

  /** The doors are open. */
  async start(): Promise<void> {
    await this.#upkeep.call('start')
  }

  /** The doors are closed. */
  async stop(): Promise<void> {
    await this.#upkeep.call('stop')
    await this.#writer?.call('stop')
  }
}

/** Ports to all of them, for each of `count` threads. */
function startHashing(threads: Threads, count: number): MessagePort[][] {
  const perThread: MessagePort[][] = Array.from({ length: count }, () => [])
  const hashThreads = Math.min(HASH_THREADS_MAX, Math.max(HASH_THREADS_MIN, count >> 1))
  for (let each = 0; each < hashThreads; each++) {
    threads.startBehind(new URL('./hash-thread.ts', import.meta.url), () => {
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
  context: Context,
): Promise<Map<ObjectDoor, HostPort>> {
  const { log, signal } = context
  const { identities, root, keyFile } = objects
  const doors = new Map<ObjectDoor, HostPort>()
  await Promise.all(servers.map((server) => server.call('openObjects')))
  if (identities !== undefined) {
    const onChange = (file: IdentitiesFile) =>
      Promise.all(servers.map((server) => server.call('setIdentities', file)))
    const stop = watchIdentities(identities, root, { context, onChange })
    signal.addEventListener('abort', stop, { once: true })
  }
  if (keyFile !== undefined) {
    const onChange = (text: string) =>
      Promise.all(servers.map((server) => server.call('setEncryptionKeys', text)))
    const stop = watchKeyFile(keyFile, { context, onChange })
    signal.addEventListener('abort', stop, { once: true })
  }
  for (const [door, at] of objects.doors) {
    const port = await listenOnAll(servers, door, at)
    log.info({ role: door, address: `${at.host}:${port}`, threads: servers.length }, `${door} is listening`)
    doors.set(door, { host: at.host, port })
  }
  return doors
}
