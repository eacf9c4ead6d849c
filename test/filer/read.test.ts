/** Conditions, ranges and overrides of a read, and files that are large. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type FilerKit, startFiler } from './filer-kit.ts'

let filer: FilerKit
/** Of each size: in a row and one blob, in several chunks. */
const FILES: [path: string, bytes: Buffer][] = [
  ['/r/small.txt', numbers(1_000)],
  ['/r/large.bin', numbers(9_500_000)],
]

function numbers(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 7 + (i >> 8) * 13) & 0xff
  return bytes
}

before(async () => {
  filer = await startFiler()
  for (const [path, bytes] of FILES) await filer.put(path, bytes)
})
after(() => filer.close())

test('single ranges', async () => {
  for (const [path, bytes] of FILES) {
    const size = bytes.length
    const cases: [range: string, start: number, end: number][] = [
      ['bytes=0-0', 0, 1],
      ['bytes=0-99', 0, 100],
      [`bytes=${size - 10}-`, size - 10, size],
      ['bytes=-5', size - 5, size],
      [`bytes=-${size * 2}`, 0, size],
      [`bytes=500-${size * 2}`, 500, size],
      ['bytes=100-799', 100, 800],
      [`bytes=${size >> 1}-${(size >> 1) + 300}`, size >> 1, (size >> 1) + 301],
    ]
    for (const [range, start, end] of cases) {
      const got = await filer.get(path, { Range: range })
      const stop = Math.min(end, size)
      assert.equal(got.status, 206, `${path} ${range}`)
      assert.equal(got.headers['content-range'], `bytes ${start}-${stop - 1}/${size}`)
      assert.ok(got.body.equals(bytes.subarray(start, stop)), `${path} ${range}`)
    }
  }
})

test('several ranges in one reply', async () => {
  for (const [path, bytes] of FILES) {
    const got = await filer.get(path, { Range: 'bytes=0-9,100-199,-3' })
    assert.equal(got.status, 206)
    const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(got.headers['content-type']!)![1]!
    const parts = got.body.toString('latin1').split(`--${boundary}`)
    assert.equal(parts.length, 5)
    const bodies = parts.slice(1, 4).map((part) => part.slice(part.indexOf('\r\n\r\n') + 4, -2))
    const size = bytes.length
    const expected = [bytes.subarray(0, 10), bytes.subarray(100, 200), bytes.subarray(size - 3)]
    assert.deepEqual(
      bodies,
      expected.map((each) => each.toString('latin1')),
    )
    assert.equal(Number(got.headers['content-length']), got.body.length)
  }
})

test('ranges that are none, or ask for more than there is', async () => {
  for (const [path, bytes] of FILES) {
    for (const range of [
      'bytes=5-2',
      'bytes=x-y',
      `bytes=${bytes.length}-`,
      'bytes=',
      'nonsense',
      'bytes=-0',
    ]) {
      const got = await filer.get(path, { Range: range })
      assert.equal(got.status, 416, range)
      assert.equal(got.headers['content-range'], `bytes */${bytes.length}`)
    }
    const many = await filer.get(path, { Range: 'bytes=0-,0-,0-' })
    assert.equal(many.status, 200)
    assert.ok(many.body.equals(bytes))
    assert.equal((await filer.get(path, { Range: 'items=0-1' })).status, 200)
  }
  const head = await filer.ask({ method: 'HEAD', path: '/r/small.txt', headers: { Range: 'bytes=0-1' } })
  assert.deepEqual([head.status, head.headers['content-length']], [200, '1000'])
})

test('conditions: every header, met and not met', async () => {
  const { headers } = await filer.get('/r/small.txt')
  const etag = headers.etag!
  const modified = headers['last-modified']!
  const before = new Date(Date.parse(modified) - 10_000).toUTCString()
  const cases: [headers: Record<string, string>, status: number][] = [
    [{ 'If-None-Match': etag }, 304],
    [{ 'If-None-Match': `"x", ${etag}` }, 304],
    [{ 'If-None-Match': `W/${etag}` }, 304],
    [{ 'If-None-Match': '*' }, 304],
    [{ 'If-None-Match': '"x"' }, 200],
    [{ 'If-Modified-Since': modified }, 304],
    [{ 'If-Modified-Since': before }, 200],
    [{ 'If-None-Match': '"x"', 'If-Modified-Since': modified }, 200],
    [{ 'If-Match': etag }, 200],
    [{ 'If-Match': '*' }, 200],
    [{ 'If-Match': '"x"' }, 412],
    [{ 'If-Match': `W/${etag}` }, 412],
    [{ 'If-Unmodified-Since': modified }, 200],
    [{ 'If-Unmodified-Since': before }, 412],
    [{ 'If-Match': etag, 'If-None-Match': etag }, 304],
  ]
  for (const method of ['GET', 'HEAD']) {
    for (const [conditions, status] of cases) {
      const got = await filer.ask({ method, path: '/r/small.txt', headers: conditions })
      assert.equal(got.status, status, `${method} ${JSON.stringify(conditions)}`)
      if (status !== 200) assert.equal(got.text, '')
      if (status === 304) assert.equal(got.headers.etag, etag)
    }
  }
  const range = { Range: 'bytes=0-4' }
  assert.equal((await filer.get('/r/small.txt', { ...range, 'If-Range': etag })).status, 206)
  assert.equal((await filer.get('/r/small.txt', { ...range, 'If-Range': '"x"' })).status, 200)
  assert.equal((await filer.get('/r/small.txt', { ...range, 'If-Range': modified })).status, 206)
})

test('response-* replaces headers of the reply, dl makes it an attachment', async () => {
  const query =
    'response-content-type=text/x&response-cache-control=no-store&response-content-language=de&response-expires=0'
  const got = await filer.get(
    `/r/small.txt?${query}&response-content-disposition=${encodeURIComponent('inline; x=ü')}`,
  )
  assert.equal(got.headers['content-type'], 'text/x')
  assert.equal(got.headers['cache-control'], 'no-store')
  assert.equal(got.headers['content-language'], 'de')
  assert.equal(got.headers.expires, '0')
  assert.equal(Buffer.from(got.headers['content-disposition']!, 'latin1').toString(), 'inline; x=ü')
  const download = await filer.get('/r/small.txt?dl=true')
  assert.equal(download.headers['content-disposition'], 'attachment; filename=small.txt')
  assert.equal((await filer.get('/r/small.txt?response-content-type=a%0d%0aX:y')).status, 400)
  assert.equal((await filer.get('/r/small.txt?dl=perhaps')).status, 400)
})

test('names of all kinds, in paths and in Content-Disposition', async () => {
  for (const name of [
    'ä ö.txt',
    "it's",
    'a"b',
    'a\\b',
    '100%',
    'a+b',
    '😀',
    'a;b',
    '__proto__',
    '-',
    '...',
    'c:d',
    '~',
  ]) {
    const path = `/names/${encodeURIComponent(name)}`
    assert.equal((await filer.put(path, name)).status, 201, name)
    const got = await filer.get(path)
    assert.equal(got.text, name)
    assert.match(got.headers['content-disposition']!, /^inline; filename/)
    const encoded = encodeURIComponent(name).replace(/%../g, (hex) => hex.toLowerCase())
    assert.equal((await filer.get(`/names/${encoded}`)).text, name)
  }
  assert.equal((await filer.names('/names')).length, 13)
})

test('CORS', async () => {
  const got = await filer.get('/r/small.txt', { Origin: 'http://example.com' })
  assert.equal(got.headers['access-control-allow-origin'], '*')
  assert.equal(got.headers['access-control-allow-credentials'], 'true')
  const options = await filer.ask({
    method: 'OPTIONS',
    path: '/r/small.txt',
    headers: { Origin: 'http://a' },
  })
  assert.equal(options.status, 200)
  assert.match(options.headers['access-control-allow-methods']!, /PUT, POST, GET/)
  assert.equal(options.headers['access-control-allow-origin'], '*')
})

test('a large file goes in and comes out with bounded memory', async () => {
  const size = 300 * 1024 * 1024
  const piece = numbers(1024 * 1024)
  const sum = createHash('md5')
  const { request } = await import('node:http')
  const before = process.memoryUsage()
  let peak = 0
  const watch = setInterval(() => {
    const { arrayBuffers, external } = process.memoryUsage()
    peak = Math.max(peak, Math.max(arrayBuffers, external) - before.external)
  }, 5)
  const status = await new Promise<number>((resolve, reject) => {
    const sent = request({
      port: filer.port,
      method: 'PUT',
      path: '/big',
      headers: { 'Content-Length': size },
    })
    sent.on('response', (reply) => resolve(reply.resume().statusCode!))
    sent.on('error', reject)
    const send = (left: number): void => {
      if (left === 0) {
        sent.end()
        return
      }
      sum.update(piece)
      if (sent.write(piece)) setImmediate(send, left - piece.length)
      else sent.once('drain', () => send(left - piece.length))
    }
    send(size)
  })
  assert.equal(status, 201)
  const got = createHash('md5')
  await new Promise<void>((resolve, reject) => {
    request({ port: filer.port, path: '/big' }, (reply) => {
      reply.on('data', (chunk: Buffer) => got.update(chunk))
      reply.on('end', resolve)
      reply.on('error', reject)
    }).end()
  })
  clearInterval(watch)
  assert.equal(got.digest('hex'), sum.digest('hex'))
  assert.ok(peak < 200 * 1024 * 1024, `${peak >> 20} MiB of buffers for a file of 300 MiB`)
})
