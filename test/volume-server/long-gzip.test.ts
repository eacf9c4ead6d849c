/** Gzip that inflates to much: every byte of it, its parts and its length are served, and little of it is ever held. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { StoreError } from '../../src/base/errors.ts'
import { seededRandom } from '../../src/base/random.ts'
import { plainSource } from '../../src/blobs/volume/plain-source.ts'
import type { LargeData, Needle } from '../../src/disk/needle.ts'
import { type ServerProcess, startServer } from '../support/cairn-process.ts'
import { ask, type Kit, post, type Reply, startKit } from './volume-server-kit.ts'

const MIB = 1024 * 1024

let kit: Kit
before(async () => {
  kit = await startKit()
})
after(() => kit.close())

const NOISE = seededRandom(1).bytes(2 * MIB)
/** Long, and small as gzip. */
const LINES = Buffer.from(Array.from({ length: 300_000 }, (_, i) => `line ${i}\n`).join(''))
/** Long as gzip, too: a large record. */
const MIXED = Buffer.concat([NOISE, LINES, NOISE])

async function storeGzip(content: Buffer, headers: Record<string, string> = {}): Promise<[string, Reply]> {
  const path = `/${kit.newFid()}`
  const type = { 'Content-Type': 'text/x-test', 'Content-Encoding': 'gzip' }
  const written = await ask(kit.port, {
    method: 'POST',
    path,
    headers: { ...type, ...headers },
    body: content,
  })
  return [path, written]
}

const FILES: [string, Buffer, Buffer][] = [
  ['a small record', LINES, gzipSync(LINES)],
  ['a large record', MIXED, gzipSync(MIXED)],
  ['several gzips in one', MIXED, Buffer.concat([NOISE, LINES, NOISE].map((part) => gzipSync(part)))],
  ['a short gzip behind a long one', LINES, Buffer.concat([gzipSync(LINES), gzipSync('')])],
]

for (const [name, plain, zipped] of FILES) {
  test(`whole, in parts, and its length: ${name}`, async () => {
    const [path, written] = await storeGzip(zipped)
    assert.deepEqual([written.status, written.json().size], [201, plain.length])
    const whole = await ask(kit.port, { path })
    assert.equal(whole.headers['content-length'], String(plain.length))
    assert.ok(whole.body.equals(plain))
    const head = await ask(kit.port, { method: 'HEAD', path })
    assert.equal(head.headers['content-length'], String(plain.length))
    for (const [start, end] of [
      [0, 1],
      [65_530, 65_540],
      [2 * MIB, plain.length - 5],
      [plain.length - 7, plain.length],
    ] as const) {
      const part = await ask(kit.port, { path, headers: { Range: `bytes=${start}-${end - 1}` } })
      assert.deepEqual(
        [part.status, part.headers['content-range']],
        [206, `bytes ${start}-${end - 1}/${plain.length}`],
      )
      assert.ok(part.body.equals(plain.subarray(start, end)))
    }
    const parts = await ask(kit.port, { path, headers: { Range: 'bytes=1000000-1000003,5-9' } })
    assert.equal(parts.status, 206)
    assert.ok(parts.text.includes(`\r\n\r\n${plain.toString('utf8', 1_000_000, 1_000_004)}\r\n`))
    const beyond = await ask(kit.port, { path, headers: { Range: `bytes=${plain.length}-` } })
    assert.deepEqual([beyond.status, beyond.headers['content-range']], [416, `bytes */${plain.length}`])
    const stored = await ask(kit.port, { path, headers: { 'Accept-Encoding': 'gzip' } })
    assert.ok(stored.body.equals(zipped))
  })
}

test('a long gzip that is cut off, damaged, or inflates to more than a file may have, is refused', async () => {
  const zipped = gzipSync(MIXED)
  const damaged = Buffer.from(zipped)
  damaged[damaged.length - 8]! ^= 1
  for (const body of [zipped.subarray(0, -9), damaged]) {
    const [path, refused] = await storeGzip(body)
    assert.equal(refused.status, 400)
    assert.match(refused.text, /not valid gzip/)
    assert.equal((await ask(kit.port, { path })).status, 404)
  }
  const [, tooLong] = await storeGzip(gzipSync(Buffer.concat([MIXED, Buffer.alloc(8 * MIB)])))
  assert.equal(tooLong.status, 413)
})

test('Content-MD5 of a long gzip is that of the file', async () => {
  const md5 = createHash('md5').update(MIXED).digest('base64')
  const [, right] = await storeGzip(gzipSync(MIXED), { 'Content-MD5': md5 })
  assert.deepEqual([right.status, right.json().contentMd5], [201, md5])
  const [, wrong] = await storeGzip(gzipSync(LINES), { 'Content-MD5': md5 })
  assert.equal(wrong.status, 400)
  assert.match(wrong.text, /Content-MD5/)
})

test('a manifest that is gzipped, of chunks that are', async () => {
  const [first] = await storeGzip(gzipSync(MIXED))
  const [second] = await storeGzip(gzipSync(LINES))
  const chunks = [
    { fid: first.slice(1), offset: 0, size: MIXED.length },
    { fid: second.slice(1), offset: MIXED.length, size: LINES.length },
  ]
  const space = ' '.repeat(2 * MIB)
  const json = `${JSON.stringify({ name: 'x', mime: '', chunks })}${space}`
  const file = { content: gzipSync(json), lines: ['Content-Encoding: gzip'] }
  const path = `/${kit.newFid()}`
  const put = await post(kit.port, '', file, { path: `${path}?cm=true` })
  assert.equal(put.status, 201, put.text)
  const whole = await ask(kit.port, { path })
  assert.ok(whole.body.equals(Buffer.concat([MIXED, LINES])))
  const range = { Range: `bytes=${MIXED.length - 5}-${MIXED.length + 4}` }
  const part = await ask(kit.port, { path, headers: range })
  assert.ok(part.body.equals(Buffer.concat([MIXED.subarray(-5), LINES.subarray(0, 5)])))
  chunks[1]!.size--
  const wrong = { ...file, content: gzipSync(JSON.stringify({ name: 'x', mime: '', chunks })) }
  const wrongPath = `/${kit.newFid()}`
  await post(kit.port, '', wrong, { path: `${wrongPath}?cm=true` })
  const ofSecond = { Range: `bytes=${MIXED.length}-${MIXED.length + 4}` }
  assert.equal((await ask(kit.port, { path: wrongPath, headers: ofSecond })).status, 500)
  const tooLong = { ...file, content: gzipSync(`${json}${' '.repeat(16 * MIB)}`) }
  assert.equal((await post(kit.port, '', tooLong, { path: `${path}?cm=true` })).status, 413)
  assert.equal((await ask(kit.port, { method: 'DELETE', path })).json().size, MIXED.length + LINES.length)
  assert.equal((await ask(kit.port, { path: first })).status, 404)
})

/** A large record of which each read is waited for. */
class WatchedRecord implements LargeData {
  isClosed = false
  isReading = false
  readonly #data: Buffer
  readonly closed: Promise<void>
  #onClosed = () => {}

  constructor(data: Buffer) {
    this.#data = data
    this.closed = new Promise((resolve) => {
      this.#onClosed = resolve
    })
  }

  async *read(start: number, end: number): AsyncGenerator<Buffer> {
    for (let at = start; at < end; at += 65_536) {
      this.isReading = true
      await new Promise(setImmediate)
      assert.equal(this.isClosed, false, 'what is read is open')
      this.isReading = false
      yield this.#data.subarray(at, Math.min(end, at + 65_536))
    }
  }

  async readInto(whole: Buffer): Promise<void> {
    this.#data.copy(whole)
  }

  close(): void {
    assert.deepEqual([this.isClosed, this.isReading], [false, false])
    this.isClosed = true
    this.#onClosed()
  }
}

test('a record is closed only when what inflates it reads no more', async () => {
  const zipped = gzipSync(MIXED)
  for (const pieces of [1, 2, 20, 60]) {
    const large = new WatchedRecord(zipped)
    const needle = { gzipped: true, dataSizeBytes: zipped.length, large } as unknown as Needle
    const source = await plainSource(needle, 8 * MIB)
    const reading = source.read(0, source.sizeBytes)[Symbol.asyncIterator]()
    for (let i = 0; i < pieces; i++) assert.equal((await reading.next()).done, false)
    const ended = reading.return!()
    source.close()
    await Promise.all([ended, large.closed])
  }
})

test('damage that is found while a record is inflated is said as such', async () => {
  const zipped = gzipSync(MIXED)
  const large = new WatchedRecord(zipped)
  const damage = new StoreError('corrupt', 'damaged record')
  const whole = large.read.bind(large)
  large.read = async function* (start, end) {
    yield* whole(start, Math.min(end, MIB))
    if (end > MIB) throw damage
  }
  const needle = { gzipped: true, dataSizeBytes: zipped.length, large } as unknown as Needle
  await assert.rejects(plainSource(needle, 8 * MIB), damage)
  assert.deepEqual([large.isClosed, large.isReading], [false, false])
})

const INFLATED_BYTES = 100 * MIB
const MEMORY_BYTES_MAX = 400 * MIB
const CLIENTS = 8

function memoryOf({ child }: ServerProcess, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)![1]) * 1024
}

async function withServer(use: (server: ServerProcess, port: number) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-long-gzip-'))
  try {
    const server = await startServer(directory, ['--workers', '1'])
    try {
      await use(server, Number(server.volume.split(':')[1]))
    } finally {
      await server.kill()
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function assign({ master }: ServerProcess): Promise<string> {
  const reply = await fetch(`http://${master}/dir/assign`, { signal: AbortSignal.timeout(60_000) })
  return `/${((await reply.json()) as { fid: string }).fid}`
}

/** Asks for a file and reads nothing but how the reply begins. */
function openReader(port: number, path: string, headers = ''): Promise<[net.Socket, string]> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.setTimeout(60_000, () => socket.destroy(new Error('no reply begins in 60 s')))
    socket.on('error', reject)
    socket.once('data', (piece) => {
      socket.pause()
      resolve([socket, piece.toString('latin1', 0, 500)])
    })
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`)
  })
}

const skip = process.platform === 'linux' ? false : 'the memory of a process is read from /proc'

test('readers that take nothing of what is inflated for them cost little memory', { skip }, async () => {
  await withServer(async (server, port) => {
    const path = await assign(server)
    const headers = { 'Content-Type': 'text/plain', 'Content-Encoding': 'gzip' }
    const body = gzipSync(Buffer.alloc(INFLATED_BYTES, 'x'))
    assert.equal((await ask(port, { method: 'POST', path, headers, body })).status, 201)
    const beforeBytes = memoryOf(server, 'VmRSS')
    const readers = await Promise.all(
      Array.from({ length: CLIENTS }, (_, i) =>
        openReader(port, path, i % 2 === 0 ? '' : `Range: bytes=${50 * MIB}-\r\n`),
      ),
    )
    for (const [i, [, head]] of readers.entries()) {
      assert.match(head, i % 2 === 0 ? /^HTTP\/1.1 200 / : /^HTTP\/1.1 206 /)
    }
    const heldBytes = memoryOf(server, 'VmHWM') - beforeBytes
    for (const [socket] of readers) socket.destroy()
    assert.ok(heldBytes < MEMORY_BYTES_MAX, `${heldBytes} bytes`)
  })
})

test('uploads of what inflates to much cost little memory', { skip }, async () => {
  await withServer(async (server, port) => {
    const beforeBytes = memoryOf(server, 'VmRSS')
    const headers = { 'Content-Type': 'text/plain', 'Content-Encoding': 'gzip' }
    const body = gzipSync(Buffer.alloc(INFLATED_BYTES, 'x'))
    const manifest = gzipSync(`{"chunks":[]}${' '.repeat(15 * MIB)}${randomBytes(16).toString('hex')}`)
    const paths = await Promise.all(Array.from({ length: 5 * CLIENTS }, () => assign(server)))
    const written = await Promise.all(
      paths.map((path, i) =>
        i < CLIENTS
          ? ask(port, { method: 'POST', path, headers, body })
          : ask(port, { method: 'POST', path: `${path}?cm=true`, headers, body: manifest }),
      ),
    )
    assert.deepEqual(
      written.map((reply) => reply.status),
      paths.map((_, i) => (i < CLIENTS ? 201 : 400)),
    )
    const heldBytes = memoryOf(server, 'VmHWM') - beforeBytes
    assert.ok(heldBytes < MEMORY_BYTES_MAX, `${heldBytes} bytes`)
  })
})
