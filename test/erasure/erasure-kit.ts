/** Erasure groups over real volumes: each volume in a store of its own, in this process or behind a volume server. */
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { systemClock } from '../../src/base/clock.ts'
import { groupMembers, groupVolume, layoutNamed } from '../../src/base/erasure-id.ts'
import { StoreError } from '../../src/base/errors.ts'
import { systemRandom } from '../../src/base/random.ts'
import type { BlobId } from '../../src/blobs/blob-store.ts'
import { ClusterAuth } from '../../src/blobs/cluster-auth.ts'
import type { AssignedKeys } from '../../src/blobs/id-lease.ts'
import { localBlobVolumes } from '../../src/blobs/local-volumes.ts'
import { RemoteBlobs } from '../../src/blobs/remote-blobs.ts'
import { RoutedBlobs } from '../../src/blobs/routed-blobs.ts'
import type { VolumeServer } from '../../src/blobs/volume-server.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import type { Volume } from '../../src/disk/volume.ts'
import { listPage } from '../../src/disk/volume-listing.ts'
import { HttpClient } from '../../src/net/http-client.ts'
import { newVolumeServer } from '../blob-store/blob-store-kit.ts'
import { RealStore, temporaryDirectory } from '../support/real-store.ts'
import { shardFilesStore } from './shard-files-store.ts'

export interface Domain {
  store: RealStore
  volumeId: number
  /** Undefined: in this process. */
  server: VolumeServer | undefined
  url: string
  path: string
}

export interface ErasureKit {
  blobs: RoutedBlobs
  domains: Domain[]
  /** Shards that assigns say cannot be written. */
  away: Set<number>
  /** The volumes of this process that are made to be missing. */
  hidden: Set<number>
  /** Stops a domain as a killed server or a lost disk would. */
  lose(index: number): Promise<void>
  /** From now on a domain's server takes connections and never answers; for those that are not in this process. */
  hang(index: number): Promise<void>
  /** Connections to servers that hang, of which nobody has given up waiting. */
  readonly hanging: number
  /** Flips a byte in the middle of a blob's record in a shard's volume. */
  damage(id: BlobId, index: number): void
  /** Whether a shard is there, and can be read. */
  has(id: BlobId, index: number): Promise<boolean>
  close(): Promise<void>
}

/** `isLocal`: which shards are in this process. `files`: the stores keep shards as files. */
export async function startErasure(
  isLocal: (index: number) => boolean,
  name: 'rs-4-2' | 'rs-2-1' = 'rs-4-2',
  { files = false, collection = 'c', disk = realDisk } = {},
): Promise<ErasureKit> {
  const { m } = layoutNamed(name)
  const first = groupVolume(name, 3)
  const auth = new ClusterAuth({ secret: randomBytes(32), clock: systemClock, random: systemRandom })
  const http = new HttpClient()
  const away = new Set<number>()
  const hidden = new Set<number>()
  const domains: Domain[] = []
  const silents: Server[] = []
  const sockets: Socket[] = []
  for (const [index, volumeId] of groupMembers(first).entries()) {
    const { path } = temporaryDirectory()
    const store = files ? shardFilesStore(path, disk) : new RealStore(path, { disk })
    await store.create(volumeId, 0, collection)
    const server = isLocal(index) ? undefined : newVolumeServer(store, { auth, http })
    const port = (await server?.listen({ host: '127.0.0.1', port: 0 })) ?? 0
    domains.push({ store, volumeId, server, url: server ? `127.0.0.1:${port}` : '', path })
  }
  const at = (volumeId: number) => domains.find((each) => each.volumeId === volumeId)
  const near = (volumeId: number): Volume | undefined => {
    const domain = at(volumeId)
    return domain === undefined || domain.server !== undefined || hidden.has(volumeId)
      ? undefined
      : domain.store.volumes.get(volumeId)
  }
  const volumes = {
    get: near,
    assertComplete() {},
    list: () => domains.map(({ volumeId }) => near(volumeId)).filter((volume) => volume !== undefined),
  }
  const find = async (volumeId: number) => {
    const url = at(volumeId)?.url
    return url ? [{ url, publicUrl: url, nodeId: 'unknown', shardFiles: files }] : []
  }
  let key = 0
  const assign = async (request: { count: number; redundancy?: string }): Promise<AssignedKeys> => {
    if (away.size >= m) throw new StoreError('no_writable_volume', 'too many are away')
    const keyLow = key + 1
    key += request.count
    const members = domains.map(({ url }, index) => (away.has(index) ? '' : url))
    return { volumeId: first, keyHigh: 0, keyLow, count: request.count, url: '', members }
  }
  const blobs = new RoutedBlobs({
    ...{ volumes, assign, find, clock: systemClock, random: systemRandom, sync: 'batch', leaseCount: 16 },
    remote: new RemoteBlobs({ http, auth, scheme: 'http', find }),
    listing: { volumes: async () => [], async *list() {} },
  })
  const shardOf = (id: BlobId, index: number) => ({ ...id, volumeId: first + index })
  return {
    ...{ blobs, domains, away, hidden },
    get hanging() {
      return sockets.filter(({ destroyed }) => !destroyed).length
    },
    async lose(index) {
      const { server, volumeId } = domains[index]!
      if (server === undefined) hidden.add(volumeId)
      else await server.close()
    },
    async hang(index) {
      const silent = createServer((socket) => void sockets.push(socket.resume()))
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
      silents.push(silent)
      domains[index]!.url = `127.0.0.1:${(silent.address() as AddressInfo).port}`
    },
    damage(id, index) {
      const { store, volumeId } = domains[index]!
      const volume = store.volumes.get(volumeId)!
      volume.index.get(id.keyHigh, id.keyLow)
      const { offsetUnits, lengthUnits } = volume.index
      flip(`${store.directory}/c_${volumeId}.dat`, offsetUnits * 8 + Math.min(lengthUnits * 4, 100))
    },
    async has(id, index) {
      const { store, volumeId } = domains[index]!
      try {
        const found = await store.volumes.get(volumeId)!.read(shardOf(id, index))
        for await (const _ of found?.large?.read(0, found.dataSizeBytes) ?? []) await Promise.resolve()
        found?.large?.close()
        return found !== undefined
      } catch {
        return false
      }
    },
    async close() {
      blobs.close()
      for (const socket of sockets) socket.destroy()
      for (const silent of silents) silent.close()
      for (const { server } of domains) await server?.close()
      http.close()
      for (const { store } of domains) await store.close()
    },
  }
}

/** Blobs that volumes list, of all shards together. */
export function listedIn({ domains }: ErasureKit): number {
  return domains.reduce(
    (sum, { store, volumeId }) => sum + listPage(store.volumes.get(volumeId)!, 0, 1e6).needles.length,
    0,
  )
}

export function volumesOf(kit: ErasureKit): number[] {
  return kit.domains.flatMap(({ store }) => localBlobVolumes(store.volumes).map(({ volumeId }) => volumeId))
}

function flip(path: string, at: number): void {
  const handle = openSync(path, 'r+')
  const byte = Buffer.alloc(1)
  readSync(handle, byte, 0, 1, at)
  byte[0]! ^= 0x40
  writeSync(handle, byte, 0, 1, at)
  closeSync(handle)
}
