/** Files stored, read and deleted by path: the replies that SeaweedFS's clients know. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { silentLog } from '../../src/base/log.ts'
import { parseTtl } from '../../src/base/ttl.ts'
import { Lifecycle } from '../../src/objects/lifecycle.ts'
import { DAY_MS } from '../../src/objects/lifecycle-rules.ts'
import type { PutObject } from '../../src/objects/object-store.ts'
import { type FilerKit, startFiler } from './filer-kit.ts'

let filer: FilerKit
before(async () => {
  filer = await startFiler()
})
after(() => filer.close())

const md5 = (text: string | Buffer) => createHash('md5').update(text).digest()
const base64Md5 = (text: string | Buffer) => md5(text).toString('base64')

test('POST a form into a directory and under a name, PUT a raw body', async () => {
  const posted = await filer.post('/d/', { content: 'hello world', filename: 'h.txt', mime: 'text/plain' })
  assert.equal(posted.status, 201)
  assert.equal(posted.text, '{"name":"h.txt","size":11}')
  assert.equal(posted.headers['content-md5'], base64Md5('hello world'))
  assert.equal(posted.headers['content-type'], 'application/json')
  const renamed = await filer.post('/d/x.txt', { content: 'hello world', filename: 'h.txt' })
  assert.equal(renamed.text, '{"name":"h.txt","size":11}')
  const put = await filer.put('/d/raw.bin', Buffer.from([0, 255, 13, 10]))
  assert.equal(put.text, '{"name":"raw.bin","size":4}')
  assert.deepEqual(await filer.names('/d'), ['h.txt', 'raw.bin', 'x.txt'])
  const got = await filer.get('/d/h.txt')
  assert.equal(got.status, 200)
  assert.equal(got.text, 'hello world')
  assert.equal(got.headers.etag, `"${md5('hello world').toString('hex')}"`)
  assert.equal(got.headers['content-type'], 'text/plain')
  assert.equal(got.headers['content-disposition'], 'inline; filename=h.txt')
  assert.equal(got.headers['accept-ranges'], 'bytes')
  assert.equal(got.headers['access-control-expose-headers'], 'Content-Disposition')
  assert.deepEqual((await filer.get('/d/raw.bin')).body, Buffer.from([0, 255, 13, 10]))
})

test('HEAD gives what GET does, without the body', async () => {
  await filer.put('/head/f.txt', 'some text')
  const head = await filer.ask({ method: 'HEAD', path: '/head/f.txt' })
  const get = await filer.get('/head/f.txt')
  for (const name of ['etag', 'content-length', 'content-type', 'last-modified', 'content-disposition'])
    assert.equal(head.headers[name], get.headers[name], name)
  assert.equal(head.text, '')
  assert.equal((await filer.ask({ method: 'HEAD', path: '/head/none' })).status, 404)
})

test('an empty file, and one of every size around the limits', async () => {
  const empty = await filer.put('/sizes/0', '')
  assert.equal(empty.text, '{"name":"0"}')
  assert.equal(empty.headers['content-md5'], base64Md5(''))
  const got = await filer.get('/sizes/0')
  assert.deepEqual([got.status, got.headers['content-length'], got.text], [200, '0', ''])
  for (const size of [
    1, 16_384, 16_385, 65_536, 65_537, 1_048_576, 1_048_577, 4_194_304, 4_194_305, 9_000_000,
  ]) {
    const bytes = Buffer.alloc(size, `${size} `)
    const put = await filer.put(`/sizes/${size}`, bytes)
    assert.deepEqual(put.json(), { name: String(size), size })
    const posted = await filer.post(`/sizes/form-${size}`, { content: bytes, filename: 'f' })
    assert.deepEqual(posted.json(), { name: 'f', size })
    for (const path of [`/sizes/${size}`, `/sizes/form-${size}`]) {
      const read = await filer.get(path)
      assert.ok(read.body.equals(bytes), path)
      assert.equal(read.headers.etag, `"${md5(bytes).toString('hex')}"`)
    }
  }
})

test('a form-urlencoded body is stored as it is, and so is a body without a type; a form that is PUT stores its file', async () => {
  const urlencoded = { 'Content-Type': 'application/x-www-form-urlencoded' }
  await filer.ask({ method: 'POST', path: '/as-is/a', body: 'a=b&c', headers: urlencoded })
  assert.equal((await filer.get('/as-is/a')).text, 'a=b&c')
  await filer.ask({ method: 'POST', path: '/as-is/b', body: 'plain' })
  assert.equal((await filer.get('/as-is/b')).text, 'plain')
  await filer.post('/as-is/c', { content: 'in a form', filename: 'x' }, { method: 'PUT' })
  assert.equal((await filer.get('/as-is/c')).text, 'in a form')
})

test('the type comes with the upload, or from the name', async () => {
  await filer.put('/types/a.png', 'x')
  assert.equal((await filer.get('/types/a.png')).headers['content-type'], 'image/png')
  await filer.put('/types/b.png', 'x', { 'Content-Type': 'text/x-odd' })
  assert.equal((await filer.get('/types/b.png')).headers['content-type'], 'text/x-odd')
  await filer.put('/types/c', 'x', { 'Content-Type': 'application/octet-stream' })
  assert.equal((await filer.get('/types/c')).headers['content-type'], 'application/octet-stream')
})

test('headers that are stored, and come back', async () => {
  const headers = {
    'Cache-Control': 'max-age=60',
    Expires: 'Thu, 01 Jan 2099 00:00:00 GMT',
    'Content-Disposition': 'attachment; filename="other name.txt"',
    'Content-Language': 'de',
    'seaweed-owner': 'bob',
    'Seaweed-Two-Words': 'a b',
  }
  assert.equal((await filer.put('/stored/h.txt', 'x', headers)).text, '{"name":"h.txt","size":1}')
  const got = await filer.get('/stored/h.txt')
  assert.equal(got.headers['cache-control'], 'max-age=60')
  assert.equal(got.headers.expires, headers.Expires)
  assert.equal(got.headers['content-disposition'], headers['Content-Disposition'])
  assert.equal(got.headers['content-language'], 'de')
  assert.ok(got.rawHeaders.includes('Seaweed-Owner'))
  assert.equal(got.headers['seaweed-owner'], 'bob')
  assert.equal(got.headers['seaweed-two-words'], 'a b')
  const exposed = 'Seaweed-Owner,Seaweed-Two-Words,Content-Disposition'
  assert.equal(got.headers['access-control-expose-headers'], exposed)
})

test('Content-MD5 is compared, in base64 and in hex', async () => {
  for (const size of [10, 100_000]) {
    const body = Buffer.alloc(size, 'x')
    const put = (value: string) => filer.put(`/md5/${size}`, body, { 'Content-MD5': value })
    assert.equal((await put(base64Md5(body))).status, 201)
    assert.equal((await put(md5(body).toString('hex'))).status, 201)
    const wrong = await put(base64Md5('other'))
    assert.equal(wrong.status, 400)
    assert.match(wrong.text, /^\{"error":/)
    assert.equal((await put('nonsense')).status, 400)
    const posted = await filer.post(`/md5/form-${size}`, {
      ...{ content: body, filename: 'f' },
      lines: [`Content-MD5: ${base64Md5('other')}`],
    })
    assert.equal(posted.status, 400)
    assert.equal((await filer.get(`/md5/form-${size}`)).status, 404)
  }
})

test('a file is replaced as a whole', async () => {
  await filer.put('/replaced', 'first', { 'Seaweed-Owner': 'bob' })
  await filer.put('/replaced', 'second')
  const got = await filer.get('/replaced')
  assert.equal(got.text, 'second')
  assert.equal(got.headers['seaweed-owner'], undefined)
})

test('conditions on a write', async () => {
  const any = { 'If-None-Match': '*' }
  assert.equal((await filer.put('/conditional', 'one', any)).status, 201)
  assert.equal((await filer.put('/conditional', 'two', any)).status, 412)
  const etag = (await filer.get('/conditional')).headers.etag!
  assert.equal((await filer.put('/conditional', 'two', { 'If-Match': etag })).status, 201)
  assert.equal((await filer.put('/conditional', 'three', { 'If-Match': etag })).status, 412)
  assert.equal((await filer.put('/conditional', 'three', { 'If-Match': 'bare' })).status, 400)
  const weak = `W/${(await filer.get('/conditional')).headers.etag}`
  assert.equal((await filer.put('/conditional', 'three', { 'If-Match': weak })).status, 412)
  assert.equal((await filer.put('/conditional', 'three', { 'If-None-Match': weak })).status, 412)
  assert.equal((await filer.get('/conditional')).text, 'two')
})

test('op=append adds to the end, or makes the file', async () => {
  assert.equal((await filer.put('/append/log?op=append', 'one,')).json().size, 4)
  assert.equal((await filer.put('/append/log?op=append', 'two,')).json().size, 4)
  await filer.post('/append/log?op=append', { content: 'three', filename: 'x' })
  const got = await filer.get('/append/log')
  assert.equal(got.text, 'one,two,three')
  assert.match(got.headers.etag!, /^"[0-9a-f]{32}-\d+"$/)
  const big = Buffer.alloc(200_000, 'b')
  await filer.put('/append/log?op=append', big)
  assert.equal((await filer.get('/append/log')).body.length, 13 + big.length)
})

test('offset writes bytes into a file', async () => {
  await filer.put('/offset/f', '0123456789', { 'Seaweed-Owner': 'bob' })
  assert.equal((await filer.put('/offset/f?offset=3', 'abc')).status, 201)
  assert.equal((await filer.get('/offset/f')).text, '012abc6789')
  await filer.put('/offset/f?offset=8', 'xyz')
  assert.equal((await filer.get('/offset/f')).text, '012abc67xyz')
  await filer.put('/offset/f?offset=11', '!')
  const got = await filer.get('/offset/f')
  assert.equal(got.text, '012abc67xyz!')
  assert.equal(got.headers['seaweed-owner'], 'bob')
  await filer.put('/offset/f?offset=14', 'x')
  assert.equal((await filer.get('/offset/f')).text, '012abc67xyz!\0\0x')
  assert.equal((await filer.put(`/offset/f?offset=${2 ** 40}`, 'x')).status, 400)
  await filer.put('/offset/new?offset=0', 'made')
  assert.equal((await filer.get('/offset/new')).text, 'made')
  const far = await filer.put('/offset/far?offset=300000', 'far', { 'Content-MD5': base64Md5('far') })
  assert.deepEqual([far.status, far.json().size], [201, 3])
  const zeros = Buffer.concat([Buffer.alloc(300_000), Buffer.from('far')])
  assert.ok((await filer.get('/offset/far')).body.equals(zeros))
  const wrong = { 'Content-MD5': base64Md5('other') }
  assert.equal((await filer.put('/offset/f?offset=1', 'abc', wrong)).status, 400)
  const right = { 'Content-MD5': base64Md5('abc') }
  assert.equal((await filer.put('/offset/f?offset=1', 'abc', right)).status, 201)
})

test('offset writes nothing over what was stored meanwhile, whatever conditions it comes with', async (t) => {
  const { objects } = filer
  for (const [offset, step] of [
    [1, 'put'],
    [4, 'append'],
  ] as const) {
    const path = `/meanwhile/${step}`
    for (const headers of [{}, { 'If-Match': '*' }, { 'If-None-Match': '"other"' }]) {
      await filer.put(path, 'old!')
      const commit = objects[step].bind(objects)
      const between = t.mock.method(objects, step, async (put: PutObject) => {
        between.mock.restore()
        assert.equal((await filer.put(path, 'newer bytes')).status, 201)
        return await commit(put)
      })
      assert.equal((await filer.put(`${path}?offset=${offset}`, 'xy', headers)).status, 412)
      assert.equal((await filer.get(path)).text, 'newer bytes')
    }
  }
})

test('offset with conditions on the file', async () => {
  await filer.put('/met/f', '0123')
  const { etag } = (await filer.get('/met/f')).headers
  for (const offset of [1, 4]) {
    const put = (headers: Record<string, string>) => filer.put(`/met/f?offset=${offset}`, 'x', headers)
    assert.equal((await put({ 'If-Match': '"other"' })).status, 412)
    assert.equal((await put({ 'If-None-Match': '*' })).status, 412)
    assert.equal((await put({ 'If-None-Match': etag! })).status, 412)
    assert.equal((await filer.get('/met/f')).text, '0123')
  }
  assert.equal((await filer.put('/met/f?offset=1', 'x', { 'If-Match': `"other", ${etag}` })).status, 201)
  assert.equal((await filer.put('/met/f?offset=4', 'y', { 'If-Match': '*' })).status, 201)
  assert.equal((await filer.get('/met/f')).text, '0x23y')
  assert.equal((await filer.put('/met/none?offset=1', 'x', { 'If-Match': '*' })).status, 404)
  assert.equal((await filer.put('/met/new?offset=1', 'x', { 'If-None-Match': '*' })).status, 201)
  assert.equal((await filer.get('/met/new')).text, '\0x')
})

test('parameters that only say where or how bytes are kept are accepted', async () => {
  const query = 'maxMB=4&replication=000&disk=hdd&fsync=true&dataCenter=dc&rack=r&dataNode=n&saveInside=true'
  assert.equal((await filer.put(`/accepted/f?${query}&skipCheckParentDir=true`, 'x')).status, 201)
  assert.equal((await filer.get('/accepted/f')).text, 'x')
})

test('ttl and collection decide where bytes go, and a file ends with its time', async () => {
  await filer.put('/lives/f?ttl=3m&collection=photos', 'x')
  assert.deepEqual(
    { collection: filer.asked.at(-1)!.collection, ttl: filer.asked.at(-1)!.ttl },
    { collection: 'photos', ttl: parseTtl('4m') },
  )
  const entry = (await filer.get('/lives/f?metadata=true')).json()
  assert.equal(entry.TtlSec, 180)
  await filer.ask({ method: 'POST', path: '/lives/copy?cp.from=/lives/f' })
  filer.clock.aheadMs = 179_000
  assert.equal((await filer.get('/lives/f')).status, 200)
  filer.clock.aheadMs = 181_000
  assert.equal((await filer.get('/lives/f')).status, 404)
  assert.equal((await filer.get('/lives/copy')).status, 404)
  assert.deepEqual(await filer.names('/lives'), [])
  const bucket = (await filer.objects.bucket('files'))!
  const listed = (await filer.objects.list({ bucket, prefix: 'lives/', limit: 10 })).objects
  assert.deepEqual(
    listed.map(({ key }) => key),
    ['lives/'],
  )
  await assert.rejects(async () => filer.objects.find(bucket, 'lives/f'), { code: 'not_found' })
  filer.clock.aheadMs = 0
  assert.equal((await filer.put('/lives/g?ttl=5s', 'x')).status, 400)
  assert.equal((await filer.put('/lives/g?collection=..', 'x')).status, 400)
  assert.equal((await filer.put('/lives/g?collection=_objects', 'x')).status, 400)
})

test('bytes that are added to a file live as long as it does, whatever ttl they come with', async () => {
  const ttl = 'ttl=7m'
  await filer.put('/added/for-ever?mode=0600', '0123')
  await filer.put('/added/hour?ttl=1h', '0123')
  const before = filer.asked.length
  for (const name of ['for-ever', 'hour']) {
    assert.equal((await filer.put(`/added/${name}?op=append&${ttl}`, '45')).status, 201)
    assert.equal((await filer.put(`/added/${name}?offset=6&${ttl}`, '67')).status, 201)
    assert.equal((await filer.put(`/added/${name}?offset=2&${ttl}&mode=0640`, 'ab')).status, 201)
    assert.equal((await filer.get(`/added/${name}`)).text, '01ab4567')
  }
  assert.deepEqual(
    filer.asked.slice(before).filter((asked) => asked.ttl !== 0),
    [],
  )
  const entry = async (name: string) => (await filer.get(`/added/${name}?metadata=true`)).json()
  assert.deepEqual([(await entry('for-ever')).TtlSec, (await entry('for-ever')).Mode], [0, 0o640])
  assert.deepEqual([(await entry('hour')).TtlSec, (await entry('hour')).Mode], [3_600, 0o640])
})

test('a file whose time is over is not there for anybody, and is removed though nobody asks for it', async () => {
  for (const name of ['cond', 'app', 'source', 'unread']) await filer.put(`/ended/${name}?ttl=3m`, 'old')
  await filer.put('/ended/stays?ttl=1h', 'young')
  const bucket = (await filer.objects.bucket('files'))!
  const rows = async () =>
    (await filer.objects.listVersions({ bucket, prefix: 'ended/', limit: 10 })).versions.map(({ key }) => key)
  filer.clock.aheadMs = 181_000
  assert.equal((await filer.put('/ended/cond', 'new', { 'If-None-Match': '*' })).status, 201)
  assert.equal((await filer.put('/ended/app?op=append', 'new')).status, 201)
  assert.equal((await filer.get('/ended/app')).text, 'new')
  const copy = filer.objects.copy({ source: { bucket, key: 'ended/source' }, bucket, key: 'ended/copied' })
  await assert.rejects(copy, { code: 'not_found' })
  assert.equal((await rows()).length, 6)
  const lifecycle = new Lifecycle({ ...filer, log: silentLog, dayMs: DAY_MS })
  await lifecycle.pass()
  assert.equal(lifecycle.counts.expired, 2)
  assert.deepEqual(await rows(), ['ended/', 'ended/app', 'ended/cond', 'ended/stays'])
  filer.clock.aheadMs = 0
})

test('a large form with fields around its file', async () => {
  const bytes = Buffer.alloc(200_000, 'large ')
  const field = (name: string) => `--xx\r\nContent-Disposition: form-data; name="${name}"\r\n\r\nvalue\r\n`
  const file = `--xx\r\nContent-Disposition: form-data; name="f"; filename="l.bin"\r\n\r\n`
  const post = (...parts: (string | Buffer)[]) =>
    filer.ask({
      ...{ method: 'POST', path: '/forms/', headers: { 'Content-Type': 'multipart/form-data; boundary=xx' } },
      body: Buffer.concat(parts.map((part) => Buffer.from(part))),
    })
  const posted = await post(field('before'), file, bytes, '\r\n', field('behind'), '--xx--\r\n')
  assert.equal(posted.text, '{"name":"l.bin","size":200000}')
  assert.ok((await filer.get('/forms/l.bin')).body.equals(bytes))
  const two = await post(file, bytes, '\r\n', file, bytes, '\r\n', '--xx--\r\n')
  assert.equal(two.status, 400)
})

test('DELETE answers 204, whether there was a file or not', async () => {
  await filer.put('/gone/f', 'x')
  assert.equal((await filer.ask({ method: 'DELETE', path: '/gone/f' })).status, 204)
  assert.equal((await filer.get('/gone/f')).status, 404)
  assert.equal((await filer.ask({ method: 'DELETE', path: '/gone/f' })).status, 204)
  assert.equal((await filer.ask({ method: 'DELETE', path: '/never/was' })).status, 204)
})

test('metadata=true gives the entry', async () => {
  await filer.put('/meta/f.txt?mode=0640', 'abc', { 'Content-Type': 'text/plain', 'Seaweed-Owner': 'bob' })
  const reply = await filer.get('/meta/f.txt?metadata=true')
  assert.equal(reply.status, 200)
  const entry = reply.json()
  const keys =
    'FullPath Mtime Crtime Ctime Atime Mode Uid Gid Mime TtlSec UserName GroupNames SymlinkTarget Md5 FileSize Rdev Inode Extended HardLinkId HardLinkCounter Content Remote Quota WORMEnforcedAtTsNs'
  assert.equal(Object.keys(entry).join(' '), keys)
  assert.equal(entry.FullPath, '/meta/f.txt')
  assert.equal(entry.Mode, 0o640)
  assert.equal(entry.Mime, 'text/plain')
  assert.equal(entry.FileSize, 3)
  assert.equal(entry.Md5, base64Md5('abc'))
  assert.deepEqual(entry.Extended, { 'Seaweed-Owner': Buffer.from('bob').toString('base64') })
  assert.match(entry.Mtime as string, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/)
  const directory = (await filer.get('/meta/?metadata=true')).json()
  assert.equal(directory.Mode, 2 ** 31 + 0o751)
  assert.equal(directory.Md5, null)
})

test('tags are set and removed without new bytes', async () => {
  const tagging = (method: string, query: string, headers = {}) =>
    filer.ask({ method, path: `/tags/f?${query}`, headers })
  await filer.put('/tags/f', 'x')
  assert.equal((await tagging('PUT', 'tagging', { 'Seaweed-A': '1', 'Seaweed-B': '2' })).status, 202)
  assert.equal((await tagging('PUT', 'tagging', { 'Seaweed-C': '3' })).status, 202)
  assert.equal((await filer.get('/tags/f')).headers['seaweed-a'], '1')
  assert.equal((await tagging('DELETE', 'tagging=a,c')).status, 202)
  const got = await filer.get('/tags/f')
  assert.deepEqual(
    [got.headers['seaweed-a'], got.headers['seaweed-b'], got.headers['seaweed-c']],
    [undefined, '2', undefined],
  )
  assert.equal((await tagging('DELETE', 'tagging=a')).status, 304)
  assert.equal((await tagging('DELETE', 'tagging')).status, 202)
  assert.equal((await tagging('DELETE', 'tagging')).status, 304)
  assert.equal(got.text, 'x')
  assert.equal(
    (await filer.ask({ method: 'PUT', path: '/tags/none?tagging', headers: { 'Seaweed-A': '1' } })).status,
    404,
  )
  assert.equal((await filer.ask({ method: 'DELETE', path: '/tags/none?tagging' })).status, 404)
  assert.equal(
    (await filer.ask({ method: 'PUT', path: '/tags?tagging', headers: { 'Seaweed-A': '1' } })).status,
    202,
  )
})
