/** The client against a small store of its own kind that fails when told to. */
import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { crc32c } from '../base/checksum.ts'
import { StoreError } from '../base/errors.ts'
import { CairnClient } from './cairn-client.ts'

interface Stored {
  bytes: Buffer
  name: string
  mime: string
  gzipped: boolean
}

/** One process as master and volume server, with the failures that the tests order. */
class TinyStore {
  readonly files = new Map<string, Stored>()
  readonly log: string[] = []
  /** Called before each request is served; returns true when it has dealt with it. */
  intercept: (request: http.IncomingMessage, reply: http.ServerResponse) => boolean = () => false
  locations: string[] = []
  #nextKey = 1
  readonly server: http.Server

  constructor() {
    this.server = http.createServer((request, reply) => {
      this.log.push(`${request.method} ${request.url?.split('?')[0]}`)
      if (!this.intercept(request, reply))
        this.#serve(request, reply).catch((error: unknown) => json(reply, 500, { error: String(error) }))
    })
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => void this.server.listen(0, '127.0.0.1', resolve))
    this.locations = [this.address]
    return this.address
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  async #serve(request: http.IncomingMessage, reply: http.ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://x')
    const body: Buffer[] = []
    for await (const piece of request) body.push(piece as Buffer)
    if (url.pathname === '/dir/assign') {
      if (url.searchParams.get('replication') === '999')
        return json(reply, 406, { error: 'unexpected replication' })
      const fid = `3,${(this.#nextKey++).toString(16).padStart(2, '0')}12345678`
      return json(reply, 200, { fid, url: this.address, publicUrl: this.address, count: 1 })
    }
    if (url.pathname === '/dir/lookup') {
      const volumeId = url.searchParams.get('volumeId')
      if (volumeId !== '3') return json(reply, 404, { error: `volume id ${volumeId} not found` })
      return json(reply, 200, { locations: this.locations.map((each) => ({ url: each, publicUrl: each })) })
    }
    const fid = url.pathname.slice(1)
    const file = this.files.get(fid)
    if (request.method === 'POST') return this.#post(fid, request, Buffer.concat(body), reply)
    if (file === undefined) return json(reply, 404, { size: 0 })
    if (request.method === 'DELETE') {
      this.files.delete(fid)
      return json(reply, 202, { size: file.bytes.length })
    }
    const headers: http.OutgoingHttpHeaders = {
      etag: `"${crc32c(file.bytes).toString(16).padStart(8, '0')}"`,
      'content-type': file.mime,
      'content-length': file.bytes.length,
      'content-disposition': Buffer.from(`inline; filename="${file.name}"`).toString('latin1'),
    }
    if (file.gzipped) headers['content-encoding'] = 'gzip'
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
    if (range === null) return void reply.writeHead(200, headers).end(file.bytes)
    const [start, last] = [Number(range[1]), range[2] === '' ? file.bytes.length - 1 : Number(range[2])]
    if (start >= file.bytes.length) return void reply.writeHead(416).end('invalid range')
    headers['content-length'] = last + 1 - start
    headers['content-range'] = `bytes ${start}-${last}/${file.bytes.length}`
    reply.writeHead(206, headers).end(file.bytes.subarray(start, last + 1))
  }

  async #post(
    fid: string,
    request: http.IncomingMessage,
    body: Buffer,
    reply: http.ServerResponse,
  ): Promise<void> {
    const form = await new Response(new Uint8Array(body), {
      headers: { 'content-type': request.headers['content-type'] ?? '' },
    }).formData()
    const file = form.get('file') as File
    const bytes = Buffer.from(await file.arrayBuffer())
    if (this.files.get(fid)?.bytes.equals(bytes)) return void reply.writeHead(204).end()
    const gzipped = /content-encoding: gzip/i.test(body.toString('latin1').split('\r\n\r\n')[0]!)
    this.files.set(fid, { bytes, name: file.name, mime: file.type, gzipped })
    json(reply, 201, {
      name: file.name,
      size: bytes.length,
      eTag: crc32c(bytes).toString(16).padStart(8, '0'),
    })
  }

  close(): void {
    this.server.closeAllConnections()
    this.server.close()
  }
}

function json(reply: http.ServerResponse, status: number, value: unknown): void {
  reply.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

let store: TinyStore
let client: CairnClient

before(async () => {
  store = new TinyStore()
  client = new CairnClient({ masters: [await store.listen()], timeoutMs: 2_000 })
})
after(() => {
  client.close()
  store.close()
})

function reset(intercept: TinyStore['intercept'] = () => false): void {
  store.intercept = intercept
  store.log.length = 0
}

const isCode = (code: string) => (error: unknown) => error instanceof StoreError && error.code === code

async function bytesOf(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of body) pieces.push(piece)
  return Buffer.concat(pieces)
}

test('uploads, downloads, reads a range, deletes', async () => {
  reset()
  const content = Buffer.from('the bytes of a file')
  const stored = await client.upload(content, { name: 'Schöner Name.txt', mime: 'text/plain' })
  assert.equal(stored.sizeBytes, content.length)
  assert.equal(stored.eTag, crc32c(content).toString(16).padStart(8, '0'))
  assert.equal(stored.url, `${store.address}/${stored.fid}`)
  const download = await client.download(stored.fid)
  assert.equal(download.mime, 'text/plain')
  assert.equal(download.name, 'Schöner Name.txt')
  assert.equal(download.sizeBytes, content.length)
  assert.deepEqual(await bytesOf(download.body), content)
  const part = await client.download(stored.fid, { range: { start: 4, end: 9 } })
  assert.deepEqual(part.range, { start: 4, end: 9, totalBytes: content.length })
  assert.equal((await bytesOf(part.body)).toString(), 'bytes')
  await assert.rejects(client.download(stored.fid, { range: { start: 500 } }), isCode('bad_request'))
  assert.deepEqual(await client.delete(stored.fid), { sizeBytes: content.length })
  await assert.rejects(client.download(stored.fid), isCode('not_found'))
  await assert.rejects(client.delete(stored.fid), isCode('not_found'))
})

test('streams of known and of unknown length, and large bytes, arrive whole', async () => {
  reset()
  const piece = Buffer.alloc(70_000, 'x')
  async function* stream() {
    for (let i = 0; i < 5; i++) yield piece
  }
  for (const [content, sizeBytes] of [
    [stream(), 350_000],
    [stream(), undefined],
    [stream, undefined],
    [Buffer.alloc(350_000, 'x'), undefined],
  ] as const) {
    const stored = await client.upload(content, { sizeBytes })
    assert.equal(stored.sizeBytes, 350_000)
    assert.equal((await client.downloadBytes(stored.fid)).length, 350_000)
  }
  await assert.rejects(client.upload(stream(), { sizeBytes: 4_000 }), isCode('bad_request'))
  await assert.rejects(client.upload(stream(), { sizeBytes: 400_000 }), isCode('bad_request'))
  await assert.rejects(
    client.upload(async function* () {
      yield piece
      throw new TypeError('the source failed')
    }),
    TypeError,
  )
})

test('locations are remembered, and forgotten when the file is not there', async () => {
  reset()
  const { fid } = await client.upload(Buffer.from('a'))
  await client.downloadBytes(fid)
  await client.downloadBytes(fid)
  assert.equal(store.log.filter((line) => line === 'GET /dir/lookup').length <= 1, true)
  reset()
  await assert.rejects(client.downloadBytes('3,ff12345678'), isCode('not_found'))
  assert.deepEqual(store.log, ['GET /3,ff12345678', 'GET /dir/lookup', 'GET /3,ff12345678'])
})

test('a dead location is passed over, and asked about again', async () => {
  reset()
  const { fid } = await client.upload(Buffer.from('b'))
  store.locations = ['127.0.0.1:1', store.address]
  const fresh = new CairnClient({ masters: [store.address] })
  for (let i = 0; i < 4; i++) assert.equal((await fresh.downloadBytes(fid)).toString(), 'b')
  store.locations = [store.address]
  fresh.close()
})

test('a write that was refused is tried again under a new id', async () => {
  let refusals = 2
  reset((request, reply) => {
    if (request.method !== 'POST' || refusals-- <= 0) return false
    request.resume().on('end', () => json(reply, 503, { error: 'busy' }))
    return true
  })
  const before = store.files.size
  await client.upload(Buffer.from('c'))
  assert.equal(store.files.size, before + 1)
  assert.equal(store.log.filter((line) => line === 'GET /dir/assign').length, 3)
})

test('a write whose answer was lost goes to the same id, and is stored once', async () => {
  let losses = 1
  reset((request) => {
    if (request.method !== 'POST' || losses-- <= 0) return false
    request.resume().on('end', () => request.socket.destroy())
    return true
  })
  const before = store.files.size
  const { fid } = await client.upload(Buffer.from('d'), { name: 'd' })
  assert.equal(store.files.size, before + 1)
  const posts = store.log.filter((line) => line.startsWith('POST'))
  assert.deepEqual(posts, [`POST /${fid}`, `POST /${fid}`])
  assert.equal(store.log.filter((line) => line === 'GET /dir/assign').length, 1)
})

test('a bare stream that was read is not sent again', async () => {
  reset((request, reply) => {
    if (request.method !== 'POST') return false
    request.resume().on('end', () => json(reply, 503, { error: 'busy' }))
    return true
  })
  async function* stream() {
    yield Buffer.from('e')
  }
  await assert.rejects(client.upload(stream()), isCode('unavailable'))
  assert.equal(store.log.filter((line) => line.startsWith('POST')).length, 1)
})

test('a delete whose answer was lost is repeated, and the missing file is no failure', async () => {
  reset()
  const { fid } = await client.upload(Buffer.from('f'))
  let losses = 1
  reset((request) => {
    if (request.method !== 'DELETE' || losses-- <= 0) return false
    store.files.delete(fid)
    request.socket.destroy()
    return true
  })
  assert.deepEqual(await client.delete(fid), { sizeBytes: 0 })
})

test('changed bytes are reported at the end of the download', async () => {
  reset()
  const { fid } = await client.upload(Buffer.from('right'))
  reset((request, reply) => {
    if (request.method !== 'GET' || request.url !== `/${fid}`) return false
    reply.writeHead(200, { etag: '"00000001"' }).end('wrong')
    return true
  })
  await assert.rejects(client.downloadBytes(fid), isCode('corrupt'))
  assert.equal((await bytesOf((await client.download(fid, { verify: false })).body)).toString(), 'wrong')
})

test('a download that breaks off fails', async () => {
  reset()
  const { fid } = await client.upload(Buffer.from('g'))
  reset((request, reply) => {
    if (request.method !== 'GET' || request.url !== `/${fid}`) return false
    reply.writeHead(200, { 'content-length': 100 }).write('half', () => request.socket.destroy())
    return true
  })
  await assert.rejects(client.downloadBytes(fid), isCode('io_error'))
})

test('a gzipped file is verified and inflated', async () => {
  reset()
  const text = Buffer.from('a text '.repeat(1000))
  const { fid } = await client.upload(gzipSync(text), { gzipped: true, mime: 'text/plain' })
  assert.deepEqual(await client.downloadBytes(fid), text)
  store.files.get(fid)!.bytes = Buffer.from('no gzip at all')
  await assert.rejects(client.downloadBytes(fid), isCode('corrupt'))
})

test('several masters: the first that answers is kept', async () => {
  reset()
  const several = new CairnClient({ masters: ['127.0.0.1:1', store.address] })
  await several.upload(Buffer.from('h'))
  await several.upload(Buffer.from('i'))
  several.close()
  const none = new CairnClient({ masters: ['127.0.0.1:1'], attemptsMax: 2 })
  await assert.rejects(none.assign(), isCode('unavailable'))
  none.close()
  assert.throws(() => new CairnClient({ masters: [] }), isCode('bad_request'))
})

test('the master says no: the reason comes through', async () => {
  reset()
  await assert.rejects(client.assign({ replication: '999' }), /unexpected replication/)
  await assert.rejects(client.download('9,0112345678'), isCode('volume_not_found'))
  await assert.rejects(client.download('no fid'), isCode('bad_request'))
})

test('a server that says nothing ends in a timeout', async () => {
  reset((request) => request.url?.startsWith('/dir/assign') === true)
  const impatient = new CairnClient({ masters: [store.address], timeoutMs: 50, attemptsMax: 2 })
  await assert.rejects(impatient.assign(), isCode('timeout'))
  impatient.close()
})

test('tokens of the master are passed on', async () => {
  const seen: (string | undefined)[] = []
  reset((request, reply) => {
    if (request.url?.startsWith('/dir/assign')) {
      reply.setHeader('authorization', 'Bearer for-writing')
      return false
    }
    if (request.url?.includes('fileId=')) {
      reply.setHeader('authorization', 'Bearer for-reading')
      json(reply, 200, { locations: [] })
      return true
    }
    if (
      request.method === 'GET' &&
      request.headers.authorization === undefined &&
      request.url?.startsWith('/3,')
    ) {
      json(reply, 401, { error: 'wrong jwt' })
      return true
    }
    seen.push(request.headers.authorization)
    return false
  })
  const { fid } = await client.upload(Buffer.from('j'))
  assert.equal((await client.downloadBytes(fid)).toString(), 'j')
  assert.deepEqual(
    seen.filter((each) => each !== undefined),
    ['Bearer for-writing', 'Bearer for-reading'],
  )
})

test('names and mimes that no server takes are refused here', async () => {
  reset()
  await assert.rejects(client.upload(Buffer.from('k'), { name: 'n'.repeat(256) }), isCode('too_large'))
  await assert.rejects(client.upload(Buffer.from('k'), { name: 'a\nb' }), isCode('bad_request'))
  await assert.rejects(client.upload(Buffer.from('k'), { mime: 'm'.repeat(256) }), isCode('too_large'))
})
