/** A blob store over real volumes: of its own machine, or behind a volume server's HTTP. */
import { randomBytes } from 'node:crypto'
import { systemClock } from '../../src/base/clock.ts'
import { StoreError } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import { ClusterAuth } from '../../src/blobs/cluster-auth.ts'
import type { AssignedKeys, KeyRequest } from '../../src/blobs/id-lease.ts'
import { LocalBlobStore } from '../../src/blobs/local-blob-store.ts'
import { RemoteBlobs } from '../../src/blobs/remote-blobs.ts'
import { VolumeCounters } from '../../src/blobs/volume-counters.ts'
import type { VolumeLocation } from '../../src/blobs/volume-locator.ts'
import { VolumeServer, type VolumeServerOptions } from '../../src/blobs/volume-server.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { createThreadContext } from '../../src/disk/thread-context.ts'
import { VolumeSet } from '../../src/disk/volume-set.ts'
import { BodyBudget } from '../../src/net/body.ts'
import { HttpClient } from '../../src/net/http-client.ts'
import { RealStore, temporaryDirectory } from '../support/real-store.ts'

const MIB = 1024 * 1024

export interface BlobStoreKit {
  blobs: LocalBlobStore
  /** The volumes that it is on, wherever they are. */
  engine: RealStore
  /** What was asked of the master so far. */
  asked: KeyRequest[]
  /** Volumes that the master names, in turn. */
  writable: number[]
  /** Where volumes are said to be. */
  locations: VolumeLocation[]
  close(): Promise<void>
}

export interface BlobStoreKitOptions {
  isLocal: boolean
  volumeIds?: number[]
  sync?: 'none' | 'batch' | 'always'
  leaseCount?: number
  disk?: Disk
  server?: Partial<VolumeServerOptions>
}

export async function startBlobStore(options: BlobStoreKitOptions): Promise<BlobStoreKit> {
  const { isLocal, volumeIds = [1, 2], sync = 'batch', leaseCount } = options
  const directory = temporaryDirectory()
  const engine = new RealStore(directory.path, options.disk === undefined ? {} : { disk: options.disk })
  for (const id of volumeIds) await engine.create(id, 0, '_objects')
  const auth = new ClusterAuth({ secret: randomBytes(32), clock: systemClock, random: systemRandom })
  const http = new HttpClient()
  const server = isLocal ? undefined : newVolumeServer(engine, { auth, http, ...options.server })
  const port = (await server?.listen({ host: '127.0.0.1', port: 0 })) ?? 1
  const locations = isLocal ? [] : [{ url: `127.0.0.1:${port}`, publicUrl: `127.0.0.1:${port}` }]
  const nowhere = temporaryDirectory()
  const empty = new RealStore(nowhere.path)
  const asked: KeyRequest[] = []
  const writable = [...volumeIds]
  let key = 0
  const blobs = new LocalBlobStore({
    volumes: isLocal ? engine.volumes : empty.volumes,
    remote: new RemoteBlobs({ http, auth, scheme: 'http', find: async () => locations }),
    listing: { volumes: async () => [], async *list() {} },
    async assign(request): Promise<AssignedKeys> {
      asked.push(request)
      const volumeId = writable[asked.length % writable.length]
      if (volumeId === undefined) throw new StoreError('no_writable_volume', 'no volume')
      const keyLow = key + 1
      key += request.count
      return { volumeId, keyHigh: 0, keyLow, count: request.count, url: `127.0.0.1:${port}` }
    },
    sync,
    clock: systemClock,
    random: systemRandom,
    leaseCount,
  })
  return {
    ...{ blobs, engine, asked, writable, locations },
    async close() {
      blobs.close()
      await server?.close()
      http.close()
      await engine.close()
      await empty.close()
      directory.remove()
      nowhere.remove()
    },
  }
}

/** One that knows of no other; `more` has at least what it asks others with. */
export function newVolumeServer(
  engine: RealStore,
  { auth, ...more }: { auth: ClusterAuth; http: HttpClient } & Partial<VolumeServerOptions>,
): VolumeServer {
  return new VolumeServer({
    volumes: engine.volumes,
    admin: engine.keeper,
    clusterAuth: auth,
    nodeId: '01234567-89ab-cdef-0123-456789abcdef',
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    version: '0.0.0',
    counters: new VolumeCounters(VolumeCounters.share(1), 0),
    bodyBudget: new BodyBudget(new SharedArrayBuffer(4), 64 * MIB),
    sync: 'batch',
    fileSizeBytesMax: 8 * MIB,
    find: async () => [],
    metrics: async () => ({ contentType: 'text/plain', text: '' }),
    ...more,
  })
}

/** Another thread's view of the same volumes. */
export function anotherView({ context }: RealStore, disk: Disk = context.disk): VolumeSet {
  const shared = {
    table: context.table.shared,
    arena: context.arena.shared,
    directories: [...context.directories],
  }
  return new VolumeSet(createThreadContext(shared, disk, context.clock))
}

export async function collect(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}
