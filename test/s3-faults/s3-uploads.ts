/** Many uploads at once to a real server, all of them open before any of them ends, and the memory that it takes. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignerV4 } from '../../src/iam/sign.ts'
import { S3Door } from '../names-faults/s3-door.ts'
import { ROOT_KEY, type ServerProcess, startServer } from '../support/cairn-process.ts'

export const SERVER_MEMORY_BYTES_MAX = 600 * 1024 * 1024
const PIECE = Buffer.alloc(64 * 1024, 'the bytes of many uploads ')
const SILENCE_MS_MAX = 120_000
const BUCKET = 'uploads'

/** Gives the most memory that the server had, in bytes. Throws when an upload fails, or when that is too much. */
export async function s3Uploads({
  uploads,
  bytesEach,
}: {
  uploads: number
  bytesEach: number
}): Promise<number> {
  const data = mkdtempSync(join(tmpdir(), 'cairn-s3-uploads-'))
  const server = await startServer(data)
  try {
    const { client } = new S3Door(server)
    await client.put(`/${BUCKET}`)
    const etags = await Promise.all(Array.from({ length: uploads }, (_, at) => upload(server, at, bytesEach)))
    const hash = createHash('md5')
    for (let left = bytesEach; left > 0; left -= PIECE.length) hash.update(PIECE.subarray(0, left))
    assert.deepEqual([...new Set(etags)], [`"${hash.digest('hex')}"`])
    const peakBytes = peakOf(server)
    assert.ok(peakBytes < SERVER_MEMORY_BYTES_MAX, `${Math.round(peakBytes / 1024 / 1024)} MiB of memory`)
    const keys = await new S3Door(server).keys(BUCKET, '')
    assert.equal(keys.size, uploads)
    for (const [key, sizeBytes] of keys) assert.equal(sizeBytes, bytesEach, key)
    return peakBytes
  } finally {
    await server.stop()
    rmSync(data, { recursive: true, force: true })
  }
}

/** As the kernel counts it. */
function peakOf(server: ServerProcess): number {
  const status = readFileSync(`/proc/${server.child.pid}/status`, 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]) * 1024
}

function upload(server: ServerProcess, at: number, bytesEach: number): Promise<string> {
  const key = { accessKey: ROOT_KEY.accessKeyId, secretKey: ROOT_KEY.secretAccessKey }
  const asked = { method: 'PUT', host: server.s3, path: `/${BUCKET}/${at}`, payload: 'UNSIGNED-PAYLOAD' }
  const { target, headers } = new SignerV4(key).sign(asked, Date.now())
  const [host, port] = server.s3.split(':')
  return new Promise((resolve, reject) => {
    const all = [...headers, ['Content-Length', String(bytesEach)]].flat()
    const options = { host, port, method: 'PUT', path: target, headers: all, agent: false, setHost: false }
    const request = http.request({ ...options, timeout: SILENCE_MS_MAX }, (reply) => {
      let text = ''
      reply.on('data', (piece: Buffer) => {
        text += piece.toString()
      })
      reply.on('end', () => {
        if (reply.statusCode === 200) resolve(reply.headers.etag!)
        else reject(new Error(`upload ${at}: ${reply.statusCode} ${text}`))
      })
    })
    request.on('timeout', () => request.destroy(new Error(`upload ${at}: nothing moves`)))
    request.on('error', reject)
    let left = bytesEach
    const write = () => {
      while (left > 0) {
        const piece = PIECE.subarray(0, left)
        left -= piece.length
        if (!request.write(piece)) {
          request.once('drain', write)
          return
        }
      }
      request.end()
    }
    write()
  })
}
