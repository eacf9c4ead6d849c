/** Files over the volume server's HTTP: stored, read in every way, deleted. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { crc32c } from '../../src/base/checksum.ts'
import { seededRandom } from '../../src/base/random.ts'
import { ask, exchangeRaw, form, type Kit, post, startKit } from './volume-server-kit.ts'

const hex8 = (value: number) => value.toString(16).padStart(8, '0')

describe('files', () => {
  let kit: Kit
  before(async () => {
    kit = await startKit({ volumeIds: [1, 2], sync: 'batch' })
  })
  after(() => kit.close())

  test('POST a form, then GET, HEAD and DELETE, byte for byte', async () => {
    const fid = kit.newFid()
    const eTag = hex8(crc32c(Buffer.from('hello world')))
    const stored = await post(kit.port, fid, {
      content: 'hello world',
      filename: 'h.txt',
      mime: 'text/plain',
    })
    assert.equal(stored.status, 201)
    assert.equal(stored.text, `{"name":"h.txt","size":11,"eTag":"${eTag}","mime":"text/plain"}`)
    assert.equal(stored.headers.etag, `"${eTag}"`)
    assert.equal(stored.headers['content-md5'], '')
    assert.equal(stored.headers['content-type'], 'application/json')
    assert.equal(stored.headers['x-content-type-options'], 'nosniff')
    assert.match(String(stored.headers['x-amz-request-id']), /^[0-9A-Fa-f]+$/)

    const got = await ask(kit.port, { path: `/${fid}` })
    assert.equal(got.status, 200)
    assert.equal(got.text, 'hello world')
    assert.equal(got.headers['content-type'], 'text/plain')
    assert.equal(got.headers['content-disposition'], 'inline; filename=h.txt')
    assert.equal(got.headers['accept-ranges'], 'bytes')
    assert.equal(got.headers['content-length'], '11')
    assert.equal(got.headers.etag, `"${eTag}"`)
    assert.ok(Date.parse(got.headers['last-modified']!) > 0)

    const head = await ask(kit.port, { method: 'HEAD', path: `/${fid}` })
    assert.equal(head.status, 200)
    assert.equal(head.headers['content-length'], '11')
    assert.equal(head.body.length, 0)

    const again = await post(kit.port, fid, { content: 'hello world', filename: 'h.txt', mime: 'text/plain' })
    assert.equal(again.status, 204)
    assert.equal(again.headers.etag, `"${eTag}"`)
    assert.equal(again.text, '')

    const removed = await ask(kit.port, { method: 'DELETE', path: `/${fid}` })
    assert.equal(removed.status, 202)
    assert.ok((removed.json().size as number) > 11)
    const gone = await ask(kit.port, { path: `/${fid}` })
    assert.equal(gone.status, 404)
    assert.equal(gone.text, '')
    const twice = await ask(kit.port, { method: 'DELETE', path: `/${fid}` })
    assert.equal(twice.status, 404)
    assert.equal(twice.text, '{"size":0}')
    assert.equal((await ask(kit.port, { path: `/${fid}?readDeleted=true` })).text, 'hello world')
  })

  test('files of all sizes come back as they went', async () => {
    const random = seededRandom(11)
    for (const size of [0, 1, 1000, 16_384, 16_385, 65_536, 100_000, 1_048_576, 1_200_000, 3_000_000]) {
      const content = random.bytes(size)
      const fid = kit.newFid()
      const stored = await post(kit.port, fid, { content, filename: 'x.bin' })
      assert.equal(stored.status, 201, stored.text)
      assert.equal(stored.json().size, size === 0 ? undefined : size)
      for (let i = 0; i < 2; i++) {
        const got = await ask(kit.port, { path: `/${fid}` })
        assert.equal(got.status, 200)
        assert.ok(got.body.equals(content), `${size} bytes`)
      }
      const [start, end] = [Math.floor(size / 3), Math.floor(size / 2)]
      if (end <= start) continue
      const part = await ask(kit.port, { path: `/${fid}`, headers: { Range: `bytes=${start}-${end - 1}` } })
      assert.equal(part.status, 206)
      assert.ok(part.body.equals(content.subarray(start, end)))
    }
  })

  test('an empty file has an ETag and nothing else to say', async () => {
    const fid = kit.newFid()
    const stored = await post(kit.port, fid, { content: '', filename: 'e.txt', mime: 'text/plain' })
    assert.equal(stored.status, 201)
    assert.equal(stored.json().eTag, '00000000')
    const got = await ask(kit.port, { path: `/${fid}` })
    assert.equal(got.status, 200)
    assert.equal(got.headers['content-length'], '0')
    assert.equal(got.headers.etag, '"00000000"')
  })

  test('PUT a raw body: its name from Content-Disposition or the URL, its type from the header', async () => {
    const named = kit.newFid()
    const headers = { 'Content-Type': 'image/png', 'Content-Disposition': 'attachment; filename="a b.png"' }
    const stored = await ask(kit.port, { method: 'PUT', path: `/${named}`, headers, body: 'png' })
    assert.equal(stored.status, 201)
    assert.deepEqual([stored.json().name, stored.json().mime], ['a b.png', 'image/png'])
    const got = await ask(kit.port, { path: `/${named}` })
    assert.equal(got.headers['content-disposition'], 'inline; filename="a b.png"')
    assert.equal(got.headers['content-type'], 'image/png')
    const nameless = kit.newFid()
    const plain = await ask(kit.port, { method: 'PUT', path: `/${nameless}`, body: 'x' })
    assert.equal(plain.json().name, nameless)
    const bare = kit.newFid()
    const loose = { 'Content-Disposition': 'name=x.txt' }
    assert.equal(
      (await ask(kit.port, { method: 'PUT', path: `/${bare}`, headers: loose, body: 'x' })).json().name,
      'x.txt',
    )
  })

  test('a multipart PUT stores the file, not the envelope', async () => {
    const fid = kit.newFid()
    assert.equal(
      (await post(kit.port, fid, { content: 'inside', filename: 'x' }, { method: 'PUT' })).status,
      201,
    )
    assert.equal((await ask(kit.port, { path: `/${fid}` })).text, 'inside')
  })

  test('a form-urlencoded body is stored as it is', async () => {
    for (const method of ['POST', 'PUT']) {
      const fid = kit.newFid()
      const headers = { 'Content-Type': 'application/x-www-form-urlencoded' }
      const stored = await ask(kit.port, { method, path: `/${fid}`, headers, body: 'a=1&b=2&ttl=9q' })
      assert.equal(stored.status, 201)
      assert.equal((await ask(kit.port, { path: `/${fid}` })).text, 'a=1&b=2&ttl=9q')
    }
  })

  test('chunked bodies, and bodies that wait for 100-continue', async () => {
    const fid = kit.newFid()
    const { headers, body } = form({ content: 'in chunks', filename: 'c' })
    const chunked = { ...headers, 'Transfer-Encoding': 'chunked' }
    assert.equal(
      (await ask(kit.port, { method: 'POST', path: `/${fid}`, headers: chunked, body })).status,
      201,
    )
    assert.equal((await ask(kit.port, { path: `/${fid}` })).text, 'in chunks')
    const patient = kit.newFid()
    const waits = { ...headers, Expect: '100-continue' }
    assert.equal(
      (await ask(kit.port, { method: 'POST', path: `/${patient}`, headers: waits, body })).status,
      201,
    )
    assert.equal((await ask(kit.port, { path: `/${patient}` })).text, 'in chunks')
  })

  test('every spelling of a path reads; only the comma form writes', async () => {
    const fid = kit.newFid()
    await post(kit.port, fid, { content: 'x', filename: 'stored.txt' })
    const [volume, key] = fid.split(',') as [string, string]
    const paths = [
      `/${fid}.jpg`,
      `/${volume}/${key}`,
      `/${volume}/${key}.jpg`,
      `/${volume}%2C${key}`,
      `/${volume},0000${key}`,
    ]
    for (const path of paths) {
      const got = await ask(kit.port, { path })
      assert.equal(got.text, 'x', path)
      assert.equal(got.headers['content-disposition'], 'inline; filename=stored.txt')
    }
    const renamed = await ask(kit.port, { path: `/${volume}/${key}/other%20name.css` })
    assert.equal(renamed.headers['content-disposition'], 'inline; filename="other name.css"')
    assert.equal(renamed.headers['content-type'], 'text/css; charset=utf-8')
    for (const path of [`/${volume}/${key}`, `/${volume}/${key}/name`]) {
      assert.equal((await ask(kit.port, { method: 'PUT', path, body: 'y' })).status, 400)
    }
    assert.equal((await ask(kit.port, { path: `/${fid}` })).text, 'x')
  })

  test('a delta adds to the key', async () => {
    const base = kit.newFid()
    assert.equal((await post(kit.port, `${base}_3`, { content: 'third' })).status, 201)
    assert.equal((await ask(kit.port, { path: `/${base}_3` })).text, 'third')
    assert.equal((await ask(kit.port, { path: `/${base}` })).status, 404)
    for (let i = 0; i < 3; i++) kit.newFid()
  })

  test('names and types of all kinds', async () => {
    const cases: [
      filename: string | undefined,
      mime: string | undefined,
      disposition: string | undefined,
      type: string,
    ][] = [
      ['x.bin', 'application/octet-stream', 'inline; filename=x.bin', 'application/octet-stream'],
      ['x.json', undefined, 'inline; filename=x.json', 'application/json'],
      ['x.HTML', undefined, 'inline; filename=x.HTML', 'text/html; charset=utf-8'],
      [undefined, undefined, undefined, 'application/octet-stream'],
      ['/some/dir/x.txt', 'text/x-mine', 'inline; filename=x.txt', 'text/x-mine'],
      ['名前.bin', undefined, "inline; filename*=utf-8''%E5%90%8D%E5%89%8D.bin", 'application/octet-stream'],
      ['a"b.txt'.replace('"', '\\"'), 'text/plain', 'inline; filename="a\\"b.txt"', 'text/plain'],
      ['<b>&.txt', 'text/plain', 'inline; filename="<b>&.txt"', 'text/plain'],
    ]
    for (const [filename, mime, disposition, type] of cases) {
      const fid = kit.newFid()
      const stored = await post(kit.port, fid, { content: '<b>x</b>', filename, mime })
      assert.equal(stored.status, 201)
      if (filename === '<b>&.txt') assert.match(stored.text, /"name":"\\u003cb\\u003e\\u0026\.txt"/)
      const got = await ask(kit.port, { path: `/${fid}` })
      assert.equal(got.headers['content-disposition'], disposition)
      assert.equal(got.headers['content-type'], type)
    }
  })

  test('Seaweed-* pairs come back without the prefix, and never as framing', async () => {
    const fid = kit.newFid()
    const headers = {
      'Seaweed-Owner': 'bob',
      'seaweed-fAVOURITE-colour': 'blåbær'.replace(/[åæ]/g, 'x'),
      'Seaweed-Content-Length': '1',
      'Seaweed-Transfer-Encoding': 'chunked',
      'Seaweed-Set-Cookie': 'a=b',
    }
    assert.equal((await post(kit.port, fid, { content: 'pairs' }, { headers })).status, 201)
    const got = await ask(kit.port, { path: `/${fid}` })
    assert.equal(got.headers.owner, 'bob')
    assert.ok(got.rawHeaders.includes('Favourite-Colour'))
    assert.equal(got.headers['content-length'], '5')
    assert.equal(got.headers['transfer-encoding'], undefined)
    assert.equal(got.headers['set-cookie'], undefined)
    assert.equal(got.text, 'pairs')
  })

  test('ts, ttl, dl, response-*, pretty', async () => {
    const fid = kit.newFid()
    const { headers, body } = form({ content: 'x', filename: 'x.txt' })
    const path = `/${fid}?ts=784111777&ttl=3m&fsync=true&type=replicate&pretty=y`
    const stored = await ask(kit.port, { method: 'POST', path, headers, body })
    assert.match(stored.text, /^\{\n {2}"name": "x.txt",\n/)
    const got = await ask(kit.port, { path: `/${fid}` })
    assert.equal(got.headers['last-modified'], 'Sun, 06 Nov 1994 08:49:37 GMT')
    const attached = await ask(kit.port, { path: `/${fid}?dl=true` })
    assert.equal(attached.headers['content-disposition'], 'attachment; filename=x.txt')
    const query = 'response-content-type=text%2Fweird&response-cache-control=no-store&response-expires=0'
    const dressed = await ask(kit.port, { path: `/${fid}?${query}` })
    assert.equal(dressed.headers['content-type'], 'text/weird')
    assert.equal(dressed.headers['cache-control'], 'no-store')
    assert.equal(dressed.headers.expires, '0')
    assert.equal(dressed.rawHeaders.filter((name) => name.toLowerCase() === 'content-type').length, 1)
  })

  test('Content-MD5 is checked', async () => {
    const md5 = createHash('md5').update('checked').digest('base64')
    const right = kit.newFid()
    const stored = await post(kit.port, right, { content: 'checked', lines: [`Content-MD5: ${md5}`] })
    assert.equal(stored.status, 201)
    assert.equal(stored.headers['content-md5'], md5)
    assert.equal(stored.json().contentMd5, md5)
    const raw = await ask(kit.port, {
      method: 'PUT',
      path: `/${kit.newFid()}`,
      headers: { 'Content-MD5': md5 },
      body: 'checked',
    })
    assert.equal(raw.status, 201)
    for (const wrong of [createHash('md5').update('other').digest('base64'), 'nonsense', 'AAAA']) {
      const fid = kit.newFid()
      const refused = await post(kit.port, fid, { content: 'checked' }, { headers: { 'Content-MD5': wrong } })
      assert.equal(refused.status, 400)
      assert.match(String(refused.json().error), /Content-MD5/)
      assert.equal((await ask(kit.port, { path: `/${fid}` })).status, 404)
    }
  })

  test('gzip uploads are kept as they are', async () => {
    const fid = kit.newFid()
    const plain = Buffer.from('a text that repeats. '.repeat(500))
    const zipped = gzipSync(plain)
    const stored = await post(kit.port, fid, {
      content: zipped,
      filename: 'x.txt',
      lines: ['Content-Encoding: gzip'],
    })
    assert.equal(stored.json().size, plain.length)
    assert.equal(stored.json().eTag, hex8(crc32c(zipped)))
    const inflated = await ask(kit.port, { path: `/${fid}` })
    assert.equal(inflated.headers['content-encoding'], undefined)
    assert.ok(inflated.body.equals(plain))
    const asStored = await ask(kit.port, { path: `/${fid}`, headers: { 'Accept-Encoding': 'gzip' } })
    assert.equal(asStored.headers['content-encoding'], 'gzip')
    assert.ok(gunzipSync(asStored.body).equals(plain))
    const refused = await ask(kit.port, { path: `/${fid}`, headers: { 'Accept-Encoding': 'br, gzip;q=0' } })
    assert.ok(refused.body.equals(plain))
    const part = await ask(kit.port, { path: `/${fid}`, headers: { Range: 'bytes=21-40' } })
    assert.equal(part.text, plain.toString('latin1', 21, 41))
    const head = await ask(kit.port, { method: 'HEAD', path: `/${fid}` })
    assert.equal(head.headers['content-length'], String(plain.length))
    const false1 = await post(kit.port, kit.newFid(), {
      content: 'not gzip',
      lines: ['Content-Encoding: gzip'],
    })
    assert.equal(false1.status, 400)
    const unknown = await post(kit.port, kit.newFid(), { content: 'x', lines: ['Content-Encoding: br'] })
    assert.equal(unknown.status, 400)
  })

  test('a small gzip that would inflate to much is not inflated', async () => {
    const fid = kit.newFid()
    const bomb = gzipSync(Buffer.alloc(9 * 1024 * 1024))
    const refused = await post(kit.port, fid, { content: bomb, lines: ['Content-Encoding: gzip'] })
    assert.equal(refused.status, 413)
    assert.equal((await ask(kit.port, { path: `/${fid}` })).status, 404)
  })

  test('conditional requests', async () => {
    const fid = kit.newFid()
    const { headers, body } = form({ content: 'conditions', filename: 'x' })
    const stored = await ask(kit.port, { method: 'POST', path: `/${fid}?ts=784111777`, headers, body })
    const etag = String(stored.headers.etag)
    const status = async (conditions: Record<string, string>) =>
      (await ask(kit.port, { path: `/${fid}`, headers: conditions })).status
    assert.equal(await status({ 'If-None-Match': etag }), 304)
    assert.equal(await status({ 'If-None-Match': `"x", W/${etag}` }), 304)
    assert.equal(await status({ 'If-None-Match': '"x"' }), 200)
    assert.equal(await status({ 'If-Modified-Since': 'Sun, 06 Nov 1994 08:49:37 GMT' }), 304)
    assert.equal(await status({ 'If-Modified-Since': 'Sun, 06 Nov 1994 08:49:36 GMT' }), 200)
    assert.equal(await status({ 'If-Match': '"x"' }), 412)
    assert.equal(await status({ 'If-Unmodified-Since': 'Sun, 06 Nov 1994 08:49:36 GMT' }), 412)
    assert.equal(await status({ Range: 'bytes=0-1', 'If-Range': etag }), 206)
    assert.equal(await status({ Range: 'bytes=0-1', 'If-Range': '"x"' }), 200)
    const unchanged = await ask(kit.port, { path: `/${fid}`, headers: { 'If-None-Match': etag } })
    assert.equal(unchanged.headers.etag, etag)
    assert.equal(unchanged.headers['content-length'], undefined)
    assert.equal(unchanged.body.length, 0)
  })

  test('ranges, several of them, and those that are none', async () => {
    const fid = kit.newFid()
    await post(kit.port, fid, { content: '0123456789', filename: 'x.txt', mime: 'text/plain' })
    const range = (header: string) => ask(kit.port, { path: `/${fid}`, headers: { Range: header } })
    const one = await range('bytes=2-4')
    assert.deepEqual([one.status, one.text, one.headers['content-range']], [206, '234', 'bytes 2-4/10'])
    assert.equal((await range('bytes=-3')).text, '789')
    assert.equal((await range('bytes=8-100')).text, '89')
    const several = await range('bytes=0-1,8-9')
    assert.equal(several.status, 206)
    const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(
      String(several.headers['content-type']),
    )![1]!
    assert.equal(
      several.text,
      `--${boundary}\r\nContent-Range: bytes 0-1/10\r\nContent-Type: text/plain\r\n\r\n01\r\n` +
        `--${boundary}\r\nContent-Range: bytes 8-9/10\r\nContent-Type: text/plain\r\n\r\n89\r\n--${boundary}--\r\n`,
    )
    assert.equal(several.headers['content-length'], String(several.body.length))
    for (const bad of [
      'bytes=10-',
      'bytes=5-2',
      'bytes=x',
      'bytes=',
      'bytes=-0',
      `bytes=${'1-1,'.repeat(200)}1-1`,
    ]) {
      const refused = await range(bad)
      assert.equal(refused.status, 416, bad)
      assert.equal(refused.headers['content-range'], 'bytes */10')
      assert.match(refused.text, /invalid range/)
    }
    assert.equal((await range('bytes=0-9,0-9')).status, 200)
    assert.equal((await range('lines=1-2')).text, '0123456789')
    const head = await ask(kit.port, { method: 'HEAD', path: `/${fid}`, headers: { Range: 'bytes=0-1' } })
    assert.deepEqual([head.status, head.headers['content-length']], [200, '10'])
  })

  test('several ranges of a large file', async () => {
    const content = seededRandom(5).bytes(2_500_000)
    const fid = kit.newFid()
    await post(kit.port, fid, { content })
    const header = { Range: 'bytes=0-9,1048570-1048585,2499990-' }
    const reply = await ask(kit.port, { path: `/${fid}`, headers: header })
    assert.equal(reply.status, 206)
    for (const [start, end] of [
      [0, 10],
      [1_048_570, 1_048_586],
      [2_499_990, 2_500_000],
    ] as const) {
      assert.ok(reply.body.includes(content.subarray(start, end)))
    }
  })

  test('CORS and OPTIONS', async () => {
    const fid = kit.newFid()
    const headers = { Origin: 'https://example.org' }
    await post(kit.port, fid, { content: 'x' })
    const got = await ask(kit.port, { path: `/${fid}`, headers })
    assert.equal(got.headers['access-control-allow-origin'], '*')
    assert.equal(got.headers['access-control-allow-credentials'], 'true')
    assert.equal((await ask(kit.port, { path: `/${fid}` })).headers['access-control-allow-origin'], undefined)
    const options = await ask(kit.port, { method: 'OPTIONS', path: `/${fid}`, headers })
    assert.equal(options.status, 200)
    assert.match(String(options.headers['access-control-allow-methods']), /DELETE/)
  })

  test('requests in a row on one connection, fast and slow ones mixed', async () => {
    const [first, second] = [kit.newFid(), kit.newFid()]
    const { headers, body } = form({ content: 'one', filename: 'x' })
    const write = (fid: string) =>
      `POST /${fid} HTTP/1.1\r\nHost: x\r\nContent-Type: ${headers['Content-Type']}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    const read = (fid: string, more = '') => `GET /${fid} HTTP/1.1\r\nHost: x\r\n${more}\r\n`
    const all =
      write(first) +
      read(first) +
      write(second) +
      read(second, 'Range: bytes=0-0\r\n') +
      read(`${first}?dl=1`)
    const reply = await exchangeRaw(kit.port, all, (received) => /attachment.*\r\n\r\none$/s.test(received))
    const statuses = [...reply.matchAll(/HTTP\/1.1 (\d+)/g)].map((match) => match[1])
    assert.deepEqual(statuses, ['201', '200', '201', '206', '200'])
  })

  test('files up to 1 MiB to many readers at once, some of them slow', async () => {
    const random = seededRandom(3)
    const files = await Promise.all(
      [20_000, 50_000, 200_000, 900_000].map(async (size) => {
        const file = { fid: kit.newFid(2), content: random.bytes(size) }
        await post(kit.port, file.fid, { content: file.content })
        return file
      }),
    )
    const reads = Array.from({ length: 60 }, async (_, i) => {
      const { fid, content } = files[i % files.length]!
      const reply = await ask(kit.port, { path: `/${fid}` })
      assert.ok(reply.body.equals(content))
    })
    await Promise.all(reads)
    const requests = files.map(({ fid }) => `GET /${fid} HTTP/1.1\r\nHost: x\r\n\r\n`).join('')
    const total = files.reduce((sum, { content }) => sum + content.length, 0)
    const received = await exchangeRaw(kit.port, requests, (text) => text.length > total)
    for (const { content } of files) assert.ok(received.includes(content.toString('latin1')))
  })
})
