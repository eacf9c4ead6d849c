/**
 * The cluster's side of a volume server over real sockets, with volumes that are only numbers in memory:
 * it answers the master's calls, sends heartbeats, and takes uploads as far as `/submit` needs.
 */
import type { Clock } from '../../src/base/clock.ts'
import { systemClock } from '../../src/base/clock.ts'
import { StoreError } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import { ClusterAuth } from '../../src/blobs/cluster-auth.ts'
import { ClusterClient } from '../../src/blobs/cluster-client.ts'
import { HeartbeatSender, randomUuid } from '../../src/blobs/heartbeat.ts'
import { answerVolumeAdmin, isVolumeAdminPath } from '../../src/blobs/volume-admin-door.ts'
import type { DirectoryInfo, NewVolume, VolumeAdmin, VolumeInfo } from '../../src/disk/volume-admin.ts'
import { readBody } from '../../src/net/body.ts'
import { HttpClient } from '../../src/net/http-client.ts'
import { HttpServer } from '../../src/net/http-server.ts'
import { fileOfForm, formBoundary } from '../../src/net/multipart.ts'

export const CLUSTER_SECRET: Buffer = Buffer.from('a secret of this test run only')

export function testAuth(clock: Clock = systemClock, secret: Buffer = CLUSTER_SECRET): ClusterAuth {
  return new ClusterAuth({ secret, clock, random: systemRandom })
}

export function volumeInfo(fields: Partial<VolumeInfo> & { id: number }): VolumeInfo {
  return {
    collection: '',
    directory: '/data',
    replicaPlacement: 0,
    ttl: 0,
    sizeBytes: 8,
    fileCount: 0,
    deleteCount: 0,
    deletedBytes: 0,
    readOnly: false,
    full: false,
    failed: false,
    diskFull: false,
    damageFound: 0,
    compactionRevision: 0,
    maxKeyHigh: 0,
    maxKeyLow: 0,
    modifiedS: 0,
    ...fields,
  }
}

export function directoryInfo(fields: Partial<DirectoryInfo> = {}): DirectoryInfo {
  const bytes = 2 ** 40
  return {
    path: '/data',
    totalBytes: bytes,
    freeBytes: bytes,
    volumeCount: 0,
    volumeCountMax: 8,
    failed: false,
    ...fields,
  }
}

/** VolumeAdmin of volumes without files. */
export class MemoryVolumeAdmin implements VolumeAdmin {
  readonly volumes = new Map<number, VolumeInfo>()
  readonly directory: DirectoryInfo
  readonly moreDirectories: DirectoryInfo[] = []
  /** Thrown by every call while it is set. */
  failure: StoreError | undefined
  /** Awaited by every create and compaction. */
  gate: Promise<void> | undefined
  readonly created: number[] = []
  readonly compacted: number[] = []

  constructor(volumeCountMax: number) {
    this.directory = directoryInfo({ volumeCountMax })
  }

  async createVolume(volume: NewVolume): Promise<void> {
    await this.gate
    if (this.failure !== undefined) throw this.failure
    if (this.volumes.has(volume.id)) throw new StoreError('volume_exists', `volume ${volume.id} exists`)
    if (this.volumes.size >= this.directory.volumeCountMax)
      throw new StoreError('no_writable_volume', 'no free slot')
    this.created.push(volume.id)
    this.volumes.set(volume.id, volumeInfo(volume))
  }

  async deleteVolume(id: number): Promise<void> {
    if (this.failure !== undefined) throw this.failure
    if (!this.volumes.delete(id)) throw new StoreError('volume_not_found', `volume ${id} not found`)
  }

  async setReadOnly(id: number, readOnly: boolean): Promise<void> {
    const info = this.volumes.get(id)
    if (info === undefined) throw new StoreError('volume_not_found', `volume ${id} not found`)
    info.readOnly = readOnly
  }

  async compactVolume(
    id: number,
    garbageThreshold: number,
  ): Promise<{ compacted: boolean; garbageRatio: number }> {
    await this.gate
    if (this.failure !== undefined) throw this.failure
    const info = this.volumes.get(id)!
    const garbageRatio = info.deletedBytes / info.sizeBytes
    if (garbageRatio < garbageThreshold) return { compacted: false, garbageRatio }
    this.compacted.push(id)
    this.volumes.set(id, { ...info, sizeBytes: info.sizeBytes - info.deletedBytes, deletedBytes: 0 })
    return { compacted: true, garbageRatio }
  }

  async status(): Promise<{ directories: DirectoryInfo[]; volumes: VolumeInfo[] }> {
    const directory = { ...this.directory, volumeCount: this.volumes.size }
    return { directories: [directory, ...this.moreDirectories], volumes: [...this.volumes.values()] }
  }
}

export interface TestNodeOptions {
  master: string
  nodeId?: string
  volumeCountMax?: number
  dataCenter?: string
  rack?: string
  periodMs?: number
  secret?: Buffer
  admin?: MemoryVolumeAdmin
  port?: number
}

export class TestVolumeNode {
  readonly nodeId: string
  readonly admin: MemoryVolumeAdmin
  readonly uploads: { url: string; data: Buffer; authorization: string | undefined }[] = []
  /** Status that uploads are refused with, while it is set. */
  refuseUploads: number | undefined
  url = ''
  sender: HeartbeatSender | undefined
  readonly #options: TestNodeOptions
  readonly #http = new HttpClient()
  readonly #auth: ClusterAuth
  readonly #server: HttpServer

  constructor(options: TestNodeOptions) {
    this.#options = options
    this.nodeId = options.nodeId ?? randomUuid(systemRandom)
    this.admin = options.admin ?? new MemoryVolumeAdmin(options.volumeCountMax ?? 8)
    this.#auth = testAuth(systemClock, options.secret)
    this.#server = new HttpServer({
      clock: systemClock,
      handler: async (request, response) => {
        const { bytes } = await readBody(request, response, { bytesMax: 2 ** 26 })
        const path = request.url ?? ''
        const reply = isVolumeAdminPath(path)
          ? await answerVolumeAdmin(
              { auth: this.#auth, admin: this.admin, nodeId: this.nodeId },
              { method: request.method ?? '', path, body: bytes },
              request.headers.authorization,
            )
          : this.#upload(path, request.headers, bytes)
        response.writeHead(reply.status, { 'Content-Type': 'application/json' })
        response.end(reply.body)
      },
    })
  }

  #upload(
    url: string,
    headers: NodeJS.Dict<string | string[]>,
    bytes: Buffer,
  ): { status: number; body: string } {
    if (this.refuseUploads !== undefined) return { status: this.refuseUploads, body: '{"error":"refused"}' }
    const file = fileOfForm(bytes, formBoundary(String(headers['content-type'])) ?? '')
    this.uploads.push({ url, data: file.data, authorization: headers.authorization as string | undefined })
    const size = file.data.length || undefined
    return { status: 201, body: JSON.stringify({ name: file.filename, size, eTag: '0badcafe' }) }
  }

  /** Listens and sends its first heartbeat; resolves when that was answered. */
  async start(): Promise<this> {
    const { master, dataCenter = '', rack = '', periodMs = 100 } = this.#options
    const port = await this.#server.listen({ host: '127.0.0.1', port: this.#options.port ?? 0 })
    this.url = `127.0.0.1:${port}`
    this.sender = new HeartbeatSender({
      masters: [master],
      identity: {
        nodeId: this.nodeId,
        url: this.url,
        publicUrl: `localhost:${port}`,
        dataCenter,
        rack,
        volumeSizeLimitBytes: 2 ** 30,
      },
      periodMs,
      client: new ClusterClient({ http: this.#http, auth: this.#auth, scheme: 'http' }),
      admin: this.admin,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
    })
    this.sender.start()
    await this.sender.flush()
    return this
  }

  /** Leaves the cluster. */
  async stop(): Promise<void> {
    await this.sender?.stop()
    this.#http.close()
    await this.#server.close()
  }

  /** Falls silent, as by `kill -9`. */
  async die(): Promise<void> {
    this.sender?.abandon()
    this.#http.close()
    await this.#server.close()
  }
}
