/**
 * `npm run long -- large-upload [GIB]`: one upload of 20 GiB to the filer, and one to S3 in parts of 5 GiB, each read back and
 * compared. Prints how much more memory the server has at most than when it is idle (all of its resident memory, as the kernel
 * counts it), and ends with an error when that is over 200 MiB.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SignerV4 } from '../../src/iam/sign.ts'
import { ROOT_KEY, type ServerProcess, startServer } from '../support/cairn-process.ts'
import { dataOf, KIB, MIB } from '../support/needles.ts'

const GIB = 1024 * MIB
const PART_BYTES = 5 * GIB
const GROWTH_BYTES_MAX = 200 * MIB
const SILENCE_MS_MAX = 300_000
const IDLE_MS = 3_000
const BASE = dataOf(20, MIB)

interface Reply {
  text: string
  headers: http.IncomingHttpHeaders
}

interface Ask {
  method: string
  /** `host:port`. */
  host: string
  path: string
  headers?: [string, string][]
  body?: { from: number; to: number } | string
  onPiece?: (piece: Buffer) => void
}

/** The mebibyte with this number, in memory that the next call uses again. */
const stamped = Buffer.from(BASE)
function mebibyte(number: number): Buffer {
  stamped.writeDoubleBE(number)
  return stamped
}

function exchange({ method, host, path, headers = [], body, onPiece }: Ask): Promise<Reply> {
  const [hostname, port] = host.split(':')
  return new Promise((resolve, reject) => {
    const options = { hostname, port, method, path, headers: headers.flat(), setHost: false, agent: false }
    const request = http.request({ ...options, timeout: SILENCE_MS_MAX }, (reply) => {
      let text = ''
      reply.on('data', (piece: Buffer) => {
        if (onPiece !== undefined && reply.statusCode === 200) onPiece(piece)
        else text += piece.toString()
      })
      reply.on('error', reject)
      reply.on('end', () => {
        if (reply.statusCode! < 300) resolve({ text, headers: reply.headers })
        else reject(new Error(`${method} ${path}: ${reply.statusCode} ${text}`))
      })
    })
    request.on('timeout', () => request.destroy(new Error(`${method} ${path}: nothing moves`)))
    request.on('error', reject)
    if (typeof body !== 'object') return void request.end(body)
    const { to } = body
    const send = (at: number): void => {
      if (at === to) return void request.end()
      // A piece is copied, as the socket keeps what it could not send at once.
      if (request.write(Buffer.from(mebibyte(at / MIB)))) setImmediate(send, at + MIB)
      else request.once('drain', () => send(at + MIB))
    }
    send(body.from)
  })
}

/** Checks the bytes of an object as they come. */
class Checker {
  bytes = 0

  readonly take = (piece: Buffer) => {
    for (let at = 0; at < piece.length; ) {
      const [number, start] = [Math.floor(this.bytes / MIB), this.bytes % MIB]
      const end = Math.min(MIB, start + piece.length - at)
      const same = piece.subarray(at, at + end - start).equals(mebibyte(number).subarray(start, end))
      assert.ok(same, `the bytes from ${this.bytes} on`)
      this.bytes += end - start
      at += end - start
    }
  }
}

const statusOf = (server: ServerProcess, name: string) => {
  const status = readFileSync(`/proc/${server.child.pid}/status`, 'utf8')
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)![1]) * KIB
}

/** Runs `work`, and says how far the memory rose above what it was before. */
async function watch(server: ServerProcess, what: string, work: () => Promise<void>): Promise<void> {
  await sleep(IDLE_MS)
  const idle = statusOf(server, 'VmRSS')
  // The kernel begins anew to note the largest memory.
  writeFileSync(`/proc/${server.child.pid}/clear_refs`, '5')
  const start = performance.now()
  await work()
  const seconds = (performance.now() - start) / 1000
  const growth = statusOf(server, 'VmHWM') - idle
  const figures = [seconds.toFixed(0), (idle / MIB).toFixed(0), (growth / MIB).toFixed(0)]
  console.log(`${what}: ${figures[0]} s, idle ${figures[1]} MiB, ${figures[2]} MiB more at most`)
  assert.ok(growth < GROWTH_BYTES_MAX, `${what}: ${growth} bytes more`)
}

const lengthOf = (bytes: number): [string, string] => ['Content-Length', String(bytes)]

async function throughFiler(server: ServerProcess, bytes: number): Promise<void> {
  const host: [string, string] = ['Host', server.filer]
  const at = { host: server.filer, path: '/large' }
  await watch(server, 'filer, PUT', async () => {
    const body = { from: 0, to: bytes }
    await exchange({ ...at, method: 'PUT', headers: [host, lengthOf(bytes)], body })
  })
  await watch(server, 'filer, GET', async () => {
    const checker = new Checker()
    await exchange({ ...at, method: 'GET', headers: [host], onPiece: checker.take })
    assert.equal(checker.bytes, bytes)
  })
  await exchange({ ...at, method: 'DELETE', headers: [host] })
}

async function throughS3(server: ServerProcess, bytes: number): Promise<void> {
  const key = { accessKey: ROOT_KEY.accessKeyId, secretKey: ROOT_KEY.secretAccessKey }
  type Query = readonly [string, string][]
  const ask = (method: string, path: string, query: Query = [], more: Partial<Ask> = {}) => {
    const asked = { method, host: server.s3, path, query, payload: 'UNSIGNED-PAYLOAD' } as const
    const { target, headers } = new SignerV4(key).sign(asked, Date.now())
    const { body } = more
    const length = typeof body === 'object' ? body.to - body.from : (body?.length ?? 0)
    const all = [...headers.map(([name, value]) => [name, value] as [string, string]), lengthOf(length)]
    return exchange({ method, host: server.s3, ...more, path: target, headers: all })
  }
  await ask('PUT', '/large')
  await watch(server, 'S3, parts', async () => {
    const { text } = await ask('POST', '/large/object', [['uploads', '']])
    const id = /<UploadId>([^<]+)</.exec(text)![1]!
    const parts: string[] = []
    for (let from = 0; from < bytes; from += PART_BYTES) {
      const number = String(parts.length + 1)
      const query: Query = [
        ['partNumber', number],
        ['uploadId', id],
      ]
      const body = { from, to: Math.min(bytes, from + PART_BYTES) }
      const { headers } = await ask('PUT', '/large/object', query, { body })
      parts.push(`<Part><PartNumber>${number}</PartNumber><ETag>${headers.etag}</ETag></Part>`)
    }
    const body = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`
    await ask('POST', '/large/object', [['uploadId', id]], { body })
  })
  await watch(server, 'S3, GET', async () => {
    const checker = new Checker()
    await ask('GET', '/large/object', [], { onPiece: checker.take })
    assert.equal(checker.bytes, bytes)
  })
}

const bytes = Number(process.argv[2] ?? 20) * GIB
const data = mkdtempSync(join(tmpdir(), 'cairn-large-upload-'))
for (const through of [throughFiler, throughS3]) {
  const server = await startServer(data, ['--volume-size-limit', '4GiB', '--garbage-delay', '1s'].slice(0, 2))
  try {
    await through(server, bytes)
  } finally {
    await server.stop()
    rmSync(data, { recursive: true, force: true })
  }
}
