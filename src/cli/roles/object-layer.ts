/** The object layer of one thread: blobs and metadata put together, and the doors that stand on it. */
import { StoreError } from '../../base/errors.ts'
import { SFSS_STATUS_MS_MAX } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import type { BlobStore } from '../../blobs/blob-store.ts'
import { NO_VOLUMES } from '../../blobs/local-volumes.ts'
import { RemoteListing } from '../../blobs/remote-listing.ts'
import { VolumeCounters } from '../../blobs/volume-counters.ts'
import { Identities, type IdentitiesFile, ROOT_ACCOUNT_ID } from '../../iam/identities.ts'
import type { MetaStore } from '../../meta/meta-store.ts'
import { BasicAuth } from '../../net/basic-auth.ts'
import type { ListenOptions } from '../../net/http-server.ts'
import { parseKeyFile } from '../../objects/key-file.ts'
import { ObjectKeys } from '../../objects/object-keys.ts'
import type { ObjectStore } from '../../objects/object-store.ts'
import type { ObjectTree } from '../../objects/tree.ts'
import { UploadLoad } from '../../objects/upload-load.ts'
import { WriterPresence } from '../../objects/writer-presence.ts'
import { FilerServer } from '../../protocols/filer/server.ts'
import { HashstoreCounters } from '../../protocols/hashstore/hashstore-counters.ts'
import { HashstoreServer } from '../../protocols/hashstore/server.ts'
import { WritesUnderWay } from '../../protocols/hashstore/writes-under-way.ts'
import { IamGate } from '../../protocols/s3/iam-gate.ts'
import { S3Counters } from '../../protocols/s3/s3-counters.ts'
import { S3Server } from '../../protocols/s3/server.ts'
import { ObjectFiles } from '../../protocols/sfss/object-files.ts'
import { SfssServer } from '../../protocols/sfss/server.ts'
import { SfssCounters } from '../../protocols/sfss/sfss-counters.ts'
import { ThreadHashPool } from './hash-pool.ts'
import { type ObjectLayerParts, objectParts, openBlobs, openMetadata } from './object-parts.ts'
import { objectsDoor } from './objects-door.ts'
import type { ObjectDoor, ObjectLayerData } from './thread-data.ts'
import { VERSION } from './version.ts'

/** Places in VolumeCounters. */
const KIND_OF: Readonly<Record<string, number>> = { GET: 0, HEAD: 0, PUT: 1, POST: 1, DELETE: 2 }
const KIND_OTHER = 3

interface Door {
  listen(options: ListenOptions): Promise<number>
  close(): Promise<void>
}

interface Layer {
  blobs: BlobStore
  meta: MetaStore
  presence: WriterPresence
  identities: Identities
  keys: ObjectKeys
  doors: Record<ObjectDoor, Door>
}

export class ObjectLayer {
  readonly #layer: Layer

  private constructor(layer: Layer) {
    this.#layer = layer
  }

  /** Throws what opening the metadata throws. */
  static async open(data: ObjectLayerData, parts: ObjectLayerParts): Promise<ObjectLayer> {
    const { clock, random, log, thread, cluster } = parts
    const meta = await openMetadata(data.metadata, parts)
    const blobs = openBlobs(parts)
    const hashPool = new ThreadHashPool(data.hashing)
    const load = new UploadLoad(data.uploadLoad)
    const keys = new ObjectKeys({ clock, random, keys: installationKeys(data) })
    const { bucketChanges, redundancy } = data
    const { objects, contents, tree, writer } = objectParts({
      ...{ meta, blobs, load, hashPool, redundancy, bucketChanges, keys, clock, random },
    })
    const writerId = `${cluster.nodeId}/${thread}`
    const presence = new WriterPresence({
      ...{ meta, clock, log, writerId, writer, thread },
      shared: data.presence,
    })
    await presence.start()
    if (thread === 0) resumeRenames(tree, log)
    const identities = new Identities(data.root, data.identities)
    const s3 = s3Server(data, parts, { objects, identities })
    const doors = {
      filer: filerServer(data, parts, objects),
      s3,
      // S3 closes it too.
      website: { listen: (options: ListenOptions) => s3.listenWebsite(options), close: async () => {} },
      sfss: sfssServer(data, parts, objects),
      hashstore: hashstoreServer(data, parts, objects),
      objects: objectsDoor(data, parts, { objects, contents, meta, blobs, presence }),
    }
    return new ObjectLayer({ blobs, meta, presence, identities, keys, doors })
  }

  /** Other accounts from now on. Throws `bad_request`, and then nothing has changed. */
  setIdentities(file: IdentitiesFile): void {
    this.#layer.identities.replace(file)
  }

  /** The file of encryption keys has changed. */
  setEncryptionKeys(text: string): void {
    this.#layer.keys.replace(parseKeyFile(text))
  }

  /** Starts to serve a door; gives its port. Throws `in_use`, `bad_request`. */
  listen(door: ObjectDoor, options: ListenOptions): Promise<number> {
    return this.#layer.doors[door].listen(options)
  }

  /** Closes the doors, lets the requests in flight finish, and then lets go of what they stand on. */
  async close(): Promise<void> {
    const { doors, presence, meta, blobs } = this.#layer
    await Promise.all(Object.values(doors).map((door) => door.close()))
    await presence.stop()
    await meta.close()
    blobs.close()
  }
}

const installationKeys = ({ encryptionKeys }: ObjectLayerData) =>
  encryptionKeys === undefined ? [] : parseKeyFile(encryptionKeys)

/** Readers see what is half renamed as renamed, so nobody waits for it. */
function resumeRenames(tree: ObjectTree, log: Log): void {
  tree.resumeRenames().catch((error: unknown) => {
    log.error({ error }, 'renames that were under way could not be ended: the next change there tries again')
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

function s3Server(
  data: ObjectLayerData,
  parts: ObjectLayerParts,
  { objects, identities }: { objects: ObjectStore; identities: Identities },
): S3Server {
  const { clock, random, log, bodyBudget, secrets, settings, logsRequests, thread } = parts
  const { region, domains, websiteDomains, sigv2: allowsV2 } = data
  return new S3Server({
    ...{ objects, clock, random, bodyBudget, settings, logsRequests, region, domains, websiteDomains },
    gate: new IamGate({ identities, region, clock, allowsV2 }),
    log: log.with({ role: 's3' }),
    version: VERSION,
    allowsKeysOverHttp: data.sseCOverHttp,
    counters: new S3Counters(data.s3Counters, thread),
    ...(secrets.tls === undefined ? {} : { tls: secrets.tls }),
  })
}

function hashstoreServer(
  { hashstoreCounters, hashstoreWrites }: ObjectLayerData,
  { clock, log, thread, settings }: ObjectLayerParts,
  objects: ObjectStore,
): HashstoreServer {
  return new HashstoreServer({
    ...{ objects, clock, ...settings },
    namesOnly: false,
    counters: new HashstoreCounters(hashstoreCounters, thread),
    writes: new WritesUnderWay(hashstoreWrites),
    log: log.with({ role: 'hashstore' }),
    owner: ROOT_ACCOUNT_ID,
  })
}

function sfssServer(data: ObjectLayerData, parts: ObjectLayerParts, objects: ObjectStore): SfssServer {
  const { clock, random, log, bodyBudget, secrets, settings, logsRequests, thread } = parts
  const counters = new SfssCounters(data.sfssCounters, thread)
  const storage = { address: () => parts.cluster.masterCalls.first, check: () => volumeServers(parts) }
  const version = VERSION
  return new SfssServer({
    ...{ clock, random, bodyBudget, settings, logsRequests, counters, version },
    files: new ObjectFiles({ objects, clock, owner: ROOT_ACCOUNT_ID, storage, counters, version }),
    log: log.with({ role: 'sfss' }),
    fileSizeBytesMax: data.sfssFileLimitBytes,
    basicAuth: secrets.basicAuthText === undefined ? undefined : new BasicAuth(secrets.basicAuthText),
    tls: secrets.tls,
  })
}

/** How many volume servers there are, and how many answer now; this process, where it has volumes, is one of them. Throws `unavailable`, `timeout`. */
async function volumeServers({ cluster, volumes }: ObjectLayerParts): Promise<Record<string, string>> {
  const others = await new RemoteListing({ ...cluster, timeoutMs: SFSS_STATUS_MS_MAX }).answering()
  const own = volumes === NO_VOLUMES ? 0 : 1
  const up = others.up + own
  if (up === 0) throw new StoreError('unavailable', 'no volume server answers')
  return { volume_servers: String(others.known + own), volume_servers_up: String(up) }
}
