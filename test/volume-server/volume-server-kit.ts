/** A volume server on the real engine and a real port, for the tests of this folder, and small clients for it. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import { ClusterAuth } from '../../src/blobs/cluster-auth.ts'
import { VolumeCounters } from '../../src/blobs/volume-counters.ts'
import { VolumeServer, type VolumeServerOptions } from '../../src/blobs/volume-server.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import { createSharedVolumes, createThreadContext } from '../../src/disk/thread-context.ts'
import { VolumeKeeper } from '../../src/disk/volume-keeper.ts'
import { VolumeSet } from '../../src/disk/volume-set.ts'
import { BodyBudget } from '../../src/net/body.ts'
import { HttpClient } from '../../src/net/http-client.ts'

const MIB = 1024 * 1024

export interface Kit {
  directory: string
  port: number
  server: VolumeServer
  keeper: VolumeKeeper
  budget: BodyBudget
  counters: VolumeCounters
  clusterAuth: ClusterAuth
  nodeId: string
  /** Another id of volume 1: `1,<key><cookie>`. */
  newFid(volumeId?: number): string
  close(): Promise<void>
}

export interface KitOptions extends Partial<VolumeServerOptions> {
  /** Volumes to make; 1 without a word. */
  volumeIds?: number[]
  /** A directory that is there already; it is not removed. */
  directory?: string
}

/** Starts one. Call `close` at the end. */
export async function startKit(options: KitOptions = {}): Promise<Kit> {
  const {
    volumeIds = [1],
    directory = mkdtempSync(join(tmpdir(), 'cairn-volume-server-')),
    ...rest
  } = options
  const shared = createSharedVolumes({ directories: [directory], indexBytesMax: 64 * MIB })
  const keeper = new VolumeKeeper(createThreadContext(shared, realDisk, systemClock), {
    random: systemRandom,
    log: silentLog,
    volumeSizeLimitBytes: 1024 * MIB,
    volumesPerDirectoryMax: 100,
    garbageThreshold: 0.3,
    ballastBytes: 0,
  })
  keeper.open()
  for (const id of volumeIds) await keeper.createVolume({ id, collection: '', replicaPlacement: 0, ttl: 0 })
  const volumes = new VolumeSet(createThreadContext(shared, realDisk, systemClock))
  const budget = new BodyBudget(new SharedArrayBuffer(4), 64 * MIB)
  const counters = new VolumeCounters(VolumeCounters.share(1), 0)
  const secret = randomBytes(32)
  const clusterAuth = new ClusterAuth({ secret, clock: systemClock, random: systemRandom })
  const nodeId = '01234567-89ab-cdef-0123-456789abcdef'
  const client = new HttpClient()
  const server = new VolumeServer({
    volumes,
    admin: keeper,
    clusterAuth,
    nodeId,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    version: '0.0.0',
    counters,
    bodyBudget: budget,
    sync: 'none',
    fileSizeBytesMax: 8 * MIB,
    http: client,
    find: async () => [],
    metrics: async () => ({ contentType: 'text/plain', text: 'metric 1\n' }),
    ...rest,
  })
  const port = await server.listen({ host: '127.0.0.1', port: 0 })
  let key = 0
  return {
    directory,
    port,
    server,
    keeper,
    budget,
    counters,
    clusterAuth,
    nodeId,
    newFid(volumeId = 1) {
      key++
      return `${volumeId},${key.toString(16).padStart(4, '0')}${randomBytes(4).toString('hex')}`
    },
    async close() {
      await server.close()
      client.close()
      volumes.close()
      await keeper.stop()
      if (options.directory === undefined) rmSync(directory, { recursive: true, force: true })
    },
  }
}

export interface Reply {
  status: number
  headers: http.IncomingHttpHeaders
  rawHeaders: string[]
  body: Buffer
  text: string
  json: () => Record<string, unknown>
}

export interface Ask {
  method?: string
  path: string
  headers?: http.OutgoingHttpHeaders
  body?: string | Buffer
}

/** One request over a connection of its own, bodies as they come over the wire. */
export function ask(port: number, request: Ask): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', path, headers, body } = request
    const sent = http.request(
      { host: '127.0.0.1', port, method, path, headers, agent: false, timeout: 20_000 },
      (reply) => {
        const pieces: Buffer[] = []
        reply.on('data', (piece: Buffer) => pieces.push(piece))
        reply.on('error', reject)
        reply.on('end', () => {
          const whole = Buffer.concat(pieces)
          resolve({
            status: reply.statusCode!,
            headers: reply.headers,
            rawHeaders: reply.rawHeaders,
            body: whole,
            text: whole.toString(),
            json: () => JSON.parse(whole.toString()) as Record<string, unknown>,
          })
        })
      },
    )
    sent.on('timeout', () => sent.destroy(new Error('no answer in 20 s')))
    sent.on('error', reject)
    sent.end(body)
  })
}

export interface FormFile {
  content: string | Buffer
  filename?: string
  mime?: string
  /** More header lines of the part. */
  lines?: string[]
}

/** A multipart form of one file, as headers and body of a request. */
export function form(file: FormFile): { headers: http.OutgoingHttpHeaders; body: Buffer } {
  const boundary = 'XTESTBOUNDARYX'
  const { content, filename, mime, lines = [] } = file
  const named = filename === undefined ? '' : `; filename="${filename}"`
  const head = [`--${boundary}`, `Content-Disposition: form-data; name="file"${named}`]
  if (mime !== undefined) head.push(`Content-Type: ${mime}`)
  const body = Buffer.concat([
    Buffer.from(`${[...head, ...lines].join('\r\n')}\r\n\r\n`),
    Buffer.from(content),
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ])
  return { headers: { 'Content-Type': `multipart/form-data; boundary=${boundary}` }, body }
}

/** Stores a file by form. */
export function post(port: number, fid: string, file: FormFile, extra: Partial<Ask> = {}): Promise<Reply> {
  const { headers, body } = form(file)
  return ask(port, {
    method: 'POST',
    path: `/${fid}`,
    body,
    ...extra,
    headers: { ...headers, ...extra.headers },
  })
}

/** Sends bytes as they are and resolves with all that comes back until the server closes, or `until` says enough. */
export function exchangeRaw(
  port: number,
  bytes: string | Buffer,
  until: (received: string) => boolean = () => false,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1')
    let received = ''
    socket.setTimeout(20_000, () => {
      socket.destroy()
      reject(new Error(`no end in 20 s; received ${received.slice(0, 200)}`))
    })
    socket.on('data', (piece) => {
      received += piece.toString('latin1')
      if (until(received)) socket.destroy()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error)
    })
    socket.on('close', () => resolve(received))
    socket.write(bytes)
  })
}
