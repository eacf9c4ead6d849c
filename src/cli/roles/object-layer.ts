/** The object layer of one thread: blobs and metadata put together, and the doors that stand on it. */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import type { BlobStore } from '../../blobs/blob-store.ts'
import type { LocalVolumes } from '../../blobs/local-volumes.ts'
import { VolumeCounters } from '../../blobs/volume-counters.ts'
import type { SyncMode } from '../../blobs/volume-server.ts'
import { Identities, ROOT_ACCOUNT_ID } from '../../iam/identities.ts'
import type { MetaStore } from '../../meta/meta-store.ts'
import { BasicAuth } from '../../net/basic-auth.ts'
import type { BodyBudget } from '../../net/body.ts'
import type { HttpServerSettings, ListenOptions } from '../../net/http-server.ts'
import { Buckets } from '../../objects/buckets.ts'
import { BlobContentReader } from '../../objects/content-reader.ts'
import { BlobContentWriter } from '../../objects/content-writer.ts'
import { IndexedStore } from '../../objects/indexed-store.ts'
import { Names } from '../../objects/names.ts'
import type { ObjectStore } from '../../objects/object-store.ts'
import { ObjectTree } from '../../objects/tree.ts'
import { UploadLoad } from '../../objects/upload-load.ts'
import { MultipartUploads } from '../../objects/uploads.ts'
import { FilerServer } from '../../protocols/filer/server.ts'
import { IamGate } from '../../protocols/s3/iam-gate.ts'
import { S3Counters } from '../../protocols/s3/s3-counters.ts'
import { S3Server } from '../../protocols/s3/server.ts'
import type { ClusterParts } from './cluster-parts.ts'
import type { DoorSecrets } from './doors.ts'
import { ThreadHashPool } from './hash-pool.ts'
import { openBlobs, openMetadata } from './object-parts.ts'
import type { ObjectDoor, ObjectLayerData } from './thread-data.ts'
import { VERSION } from './version.ts'

/** Places in VolumeCounters. */
const KIND_OF: Readonly<Record<string, number>> = { GET: 0, HEAD: 0, PUT: 1, POST: 1, DELETE: 2 }
const KIND_OTHER = 3
/** Volumes of blobs that nobody places elsewhere. */
const OBJECTS_COLLECTION = '_objects'

export interface ObjectLayerParts {
  cluster: ClusterParts
  volumes: LocalVolumes
  sync: SyncMode
  secrets: DoorSecrets
  settings: Partial<HttpServerSettings>
  /** This thread's number, from 0. */
  thread: number
  bodyBudget: BodyBudget
  log: Log
  logsRequests: boolean
  clock: Clock
  random: Random
}

interface Door {
  listen(options: ListenOptions): Promise<number>
  close(): Promise<void>
}

export class ObjectLayer {
  readonly #blobs: BlobStore
  readonly #meta: MetaStore
  readonly #doors: Record<ObjectDoor, Door>

  private constructor(parts: { blobs: BlobStore; meta: MetaStore; doors: Record<ObjectDoor, Door> }) {
    this.#blobs = parts.blobs
    this.#meta = parts.meta
    this.#doors = parts.doors
  }

  /** Throws what opening the metadata throws. */
  static async open(data: ObjectLayerData, parts: ObjectLayerParts): Promise<ObjectLayer> {
    const meta = await openMetadata(data.metadata, parts)
    const blobs = openBlobs(parts)
    const tree = new ObjectTree({ meta, clock: parts.clock, random: parts.random })
    const objects = objectStore(data, parts, { blobs, meta, tree })
    if (parts.thread === 0) resumeRenames(tree, parts.log)
    const doors = { filer: filerServer(data, parts, objects), s3: s3Server(data, parts, objects) }
    return new ObjectLayer({ blobs, meta, doors })
  }

  /** Starts to serve a door; gives its port. Throws `in_use`, `bad_request`. */
  listen(door: ObjectDoor, options: ListenOptions): Promise<number> {
    return this.#doors[door].listen(options)
  }

  /** Stops accepting, and lets the requests in flight finish. */
  async closeDoors(): Promise<void> {
    await Promise.all(Object.values(this.#doors).map((door) => door.close()))
  }

  /** After the doors were closed. */
  async close(): Promise<void> {
    await this.#meta.close()
    this.#blobs.close()
  }
}

/** Readers see what is half renamed as renamed, so nobody waits for it. */
function resumeRenames(tree: ObjectTree, log: Log): void {
  tree.resumeRenames().catch((error: unknown) => {
    log.error({ error }, 'renames that were under way could not be ended: the next change there tries again')
  })
}

function objectStore(
  data: ObjectLayerData,
  { clock, random }: ObjectLayerParts,
  { blobs, meta, tree }: { blobs: BlobStore; meta: MetaStore; tree: ObjectTree },
): ObjectStore {
  const hashPool = new ThreadHashPool(data.hashing)
  const load = new UploadLoad(data.uploadLoad)
  const collection = OBJECTS_COLLECTION
  const writer = new BlobContentWriter({ blobs, load, hashPool, meta, clock, random, collection })
  const reader = new BlobContentReader({ blobs, meta, hashPool })
  return new IndexedStore({
    buckets: new Buckets({ meta, clock, random }),
    names: new Names({ meta, clock, random, writer, reader }),
    uploads: new MultipartUploads({ meta, writer, reader, hashPool, clock, random }),
    tree,
  })
}

function filerServer(data: ObjectLayerData, parts: ObjectLayerParts, objects: ObjectStore): FilerServer {
  const { clock, random, log, bodyBudget, secrets, settings, logsRequests, thread } = parts
  const counters = new VolumeCounters(data.filerCounters, thread)
  return new FilerServer({
    ...{ objects, clock, random, bodyBudget, settings, logsRequests },
    log: log.with({ role: 'filer' }),
    version: VERSION,
    owner: ROOT_ACCOUNT_ID,
    filerBuckets: data.filerBuckets,
    onReply: ({ method, status, receivedBytes: received, sentBytes: sent }) =>
      counters.note(KIND_OF[method] ?? KIND_OTHER, status, { received, sent }),
    basicAuth: secrets.basicAuthText === undefined ? undefined : new BasicAuth(secrets.basicAuthText),
    tls: secrets.tls,
  })
}

function s3Server(data: ObjectLayerData, parts: ObjectLayerParts, objects: ObjectStore): S3Server {
  const { clock, random, log, bodyBudget, secrets, settings, logsRequests, thread } = parts
  const { region, domains, sigv2: allowsV2, root, identities } = data
  return new S3Server({
    ...{ objects, clock, random, bodyBudget, settings, logsRequests, region, domains },
    gate: new IamGate({ identities: new Identities(root, identities), region, clock, allowsV2 }),
    log: log.with({ role: 's3' }),
    version: VERSION,
    counters: new S3Counters(data.s3Counters, thread),
    ...(secrets.tls === undefined ? {} : { tls: secrets.tls }),
  })
}
