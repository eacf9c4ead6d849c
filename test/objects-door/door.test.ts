/** The door of objects with versions: what is refused, names, ranges, versions, equal bytes, and bytes that are lost. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { StoreError } from '../../src/base/errors.ts'
import { BasicAuth } from '../../src/net/basic-auth.ts'
import { HttpClient } from '../../src/net/http-client.ts'
import { TEST_TLS_CERT, TEST_TLS_KEY } from '../support/tls-files.ts'
import { ADMIN, type DoorKit, digest, hash, startDoor } from './door-kit.ts'

const MIB = 1024 * 1024
let door: DoorKit

before(async () => {
  door = await startDoor()
})

after(() => door.close())

const status = async (reply: Promise<Response>) => {
  const { status: code } = await reply.then(async (each) => {
    await each.arrayBuffer()
    return each
  })
  return code
}
const versions = async (name = '') => {
  const [code, text] = await door.get(`/versions/${name}`)
  assert.equal(code, 200)
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
}

test('a Digest is needed, must be one, and must be right; nothing is kept otherwise', async () => {
  const put = (headers: Record<string, string>, body = 'bytes') =>
    status(fetch(door.url('/objects/refused'), { method: 'PUT', headers, body }))
  assert.equal(await put({}), 400)
  for (const wrong of [
    'SHA-256=',
    'SHA-256=AAAA',
    `SHA-256=${hash('bytes').slice(1)}`,
    'MD5=1B2M2Y8AsgTpgAmY7PhCfg==',
  ])
    assert.equal(await put({ digest: wrong }), 400, wrong)
  assert.equal(await put({ digest: digest('others') }), 400)
  const large = randomBytes(5 * MIB)
  assert.equal(await status(door.put('refused', large, { digest: digest('others') })), 400)
  assert.deepEqual(await versions('refused'), [])
  assert.equal((await door.get(`/objects/${hash(large)}`))[0], 404)
  assert.equal(await put({ digest: `md5=x, sha-256=${hash('bytes')}` }), 200)
  const lax = await door.another({ needsDigest: false })
  assert.equal(await status(fetch(lax.url('/objects/lax'), { method: 'PUT', body: 'x' })), 200)
  const wrong = { method: 'PUT', body: 'x', headers: { digest: digest('y') } }
  assert.equal(await status(fetch(lax.url('/objects/lax'), wrong)), 400)
})

test('a body that is cut off leaves nothing', async () => {
  for (const sizeBytes of [1_000, 20 * MIB]) {
    await new Promise<void>((resolve) => {
      const socket = connect(Number(new URL(door.url('/')).port), '127.0.0.1', () => {
        const head = `PUT /objects/cut HTTP/1.1\r\nHost: x\r\nDigest: ${digest('x')}\r\nContent-Length: ${sizeBytes}\r\n\r\n`
        socket.write(head)
        socket.end(Buffer.alloc(sizeBytes / 2))
      })
      socket.resume()
      socket.once('error', () => {})
      socket.once('close', () => resolve())
    })
  }
  assert.deepEqual(await versions('cut'), [])
})

test('names are any UTF-8, slashes and dots as they are', async () => {
  const names = [
    'a/b//c/',
    '..%2F..%2Fetc',
    'gr%C3%BC%C3%9Fe%20%E6%96%87%E4%BB%B6%20%F0%9F%98%80',
    '%00%0A%22',
    '+&%3D%3F%23',
    '__proto__',
    'versions/x',
  ]
  for (const name of names) {
    assert.equal(await status(door.put(name, name)), 200, name)
    assert.deepEqual(await door.get(`/objects/${name}`), [200, name])
    assert.deepEqual(await versions(name), [
      { name: decodeURIComponent(name), version: 1, size: name.length, hash: hash(name) },
    ])
  }
  for (const wrong of ['', '%FF', '%zz', 'x'.repeat(1_025)])
    assert.equal(await status(door.put(wrong, 'x')), 400, wrong)
  assert.equal((await door.get('/else'))[0], 404)
  assert.equal((await door.get('/objects/nothing'))[0], 404)
  for (const [method, target] of [
    ['PATCH', '/objects/a'],
    ['PUT', '/versions/a'],
    ['POST', '/locate/a'],
    ['GET', '/temp/a'],
  ] as const)
    assert.equal(await status(fetch(door.url(target), { method })), 405, target)
})

test('versions are counted, deleting is one, and old ones go for good only by an operator', async () => {
  const remove = (target: string, headers = {}) =>
    status(fetch(door.url(target), { method: 'DELETE', headers }))
  for (const text of ['one', 'two', 'two']) await door.put('counted', text)
  assert.equal(await remove('/objects/counted'), 200)
  assert.equal((await door.get('/objects/counted'))[0], 404)
  await door.put('counted', 'five')
  const numbers = async () => (await versions('counted')).map(({ version }) => version)
  assert.deepEqual(await numbers(), [1, 2, 3, 4, 5])
  assert.deepEqual(await door.get('/objects/counted?version=1'), [200, 'one'])
  for (const latest of ['?version', '?version=', '?version=0', '?x=1', '?version=5'])
    assert.deepEqual(await door.get(`/objects/counted${latest}`), [200, 'five'])
  for (const none of ['4', '6', '999999999999999']) {
    assert.equal((await door.get(`/objects/counted?version=${none}`))[0], 404)
  }
  for (const wrong of ['x', '-1', '1.5', '1'.repeat(16)])
    assert.equal((await door.get(`/objects/counted?version=${wrong}`))[0], 400)
  assert.equal(await remove('/objects/counted?version=1'), 401)
  assert.equal(await remove('/objects/counted?version=1', ADMIN), 200)
  assert.equal(await remove('/objects/counted?version=1', ADMIN), 404)
  assert.equal(await remove('/objects/counted?version=5', ADMIN), 409)
  assert.equal((await door.get(`/objects/${hash('one')}`))[0], 404)
  assert.deepEqual(await numbers(), [2, 3, 4, 5])
  await door.put('counted', 'six')
  assert.deepEqual(await numbers(), [2, 3, 4, 5, 6])
  const all = (await versions()).map(({ name, version }) => `${name} ${version}`)
  assert.deepEqual(all, [...new Set(all)])
  assert.ok(all.includes('counted 6') && all.includes('a/b//c/ 1'))
})

test('equal bytes are kept once, and served by their hash while an object has them', async () => {
  const bytes = randomBytes(100_000)
  await Promise.all(['x', 'y', 'z'].map((name) => door.put(`same/${name}`, bytes)))
  const bucket = (await door.store.bucket('objects'))!
  const blob = await door.contents.firstBlob({ bucket, sha256: Buffer.from(hash(bytes), 'base64') })
  for (const name of ['x', 'y', 'z']) {
    const found = await fetch(door.url(`/objects/same/${name}`))
    assert.ok(Buffer.from(await found.arrayBuffer()).equals(bytes))
  }
  assert.deepEqual(await door.get(`/locate/${hash(bytes)}`), [200, '"127.1.1.2:12345"'])
  const again = await door.contents.firstBlob({ bucket, sha256: Buffer.from(hash(bytes), 'base64') })
  assert.deepEqual(again, blob)
  for (const none of [hash('nowhere'), 'no-hash', hash('')])
    assert.equal((await door.get(`/locate/${none}`))[0], 404)
  assert.equal((await door.get(`/objects/${hash(bytes)}?version=1`))[0], 404)
})

test('no bytes, many bytes, ranges and heads', async () => {
  assert.equal(await status(door.put('empty', '')), 200)
  const empty = await fetch(door.url('/objects/empty'))
  assert.deepEqual([empty.status, empty.headers.get('content-type'), await empty.text()], [200, null, ''])
  assert.equal((await door.get(`/objects/${hash('')}`))[0], 200)
  const large = randomBytes(9 * MIB + 5)
  assert.equal(await status(door.put('large', large)), 200)
  const target = door.url('/objects/large')
  assert.ok(Buffer.from(await (await fetch(target)).arrayBuffer()).equals(large))
  const head = await fetch(target, { method: 'HEAD' })
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(large.length)])
  assert.equal(head.headers.get('content-type'), 'application/octet-stream')
  for (const [range, start, end] of [
    ['bytes=0-0', 0, 1],
    ['bytes=100-', 100, large.length],
    ['bytes=4194300-4194310', 4_194_300, 4_194_311],
    ['bytes=-7', large.length - 7, large.length],
  ] as const) {
    const part = await fetch(target, { headers: { range } })
    assert.equal(part.status, 206)
    assert.equal(part.headers.get('content-range'), `bytes ${start}-${end - 1}/${large.length}`)
    assert.ok(Buffer.from(await part.arrayBuffer()).equals(large.subarray(start, end)), range)
  }
  for (const wrong of [`bytes=${large.length}-`, 'bytes=5-4', 'bytes=x'])
    assert.equal((await door.get('/objects/large', { range: wrong }))[0], 416, wrong)
  const several = await fetch(target, { headers: { range: 'bytes=0-1,5-6' } })
  assert.equal(several.status, 200)
  await several.body?.cancel()
})

test('bytes that cannot be read: 404 with the reason; names that cannot be asked for: 503', async () => {
  await door.put('lost', 'bytes')
  const down = () => Promise.reject(new StoreError('unavailable', '3 of 6 shards are gone'))
  const lost = await door.another({
    objects: Object.assign(Object.create(door.store), {
      find: async (...args: Parameters<typeof door.store.find>) => ({
        ...(await door.store.find(...args)),
        read: down,
      }),
    }),
  })
  for (const method of ['GET', 'HEAD']) {
    const reply = await fetch(lost.url('/objects/lost'), { method })
    assert.equal(reply.status, 404)
    if (method === 'GET') assert.match(await reply.text(), /3 of 6 shards are gone/)
  }
  const away = await door.another({ objects: Object.assign(Object.create(door.store), { bucket: down }) })
  for (const target of ['/objects/lost', '/versions/', `/locate/${hash('bytes')}`])
    assert.equal(await status(fetch(away.url(target))), 503, target)
  assert.equal(
    await status(
      fetch(away.url('/objects/x'), { method: 'PUT', body: 'x', headers: { digest: digest('x') } }),
    ),
    503,
  )
})

test('with a password, and over TLS', async () => {
  const tls = { cert: TEST_TLS_CERT, key: TEST_TLS_KEY }
  const safe = await door.another({ basicAuth: new BasicAuth('ann:secret'), tls })
  const url = safe.url('/objects/private').replace('http:', 'https:')
  const http = new HttpClient({ ca: TEST_TLS_CERT })
  const ask = async (method: string, user: string) => {
    const authorization = `Basic ${Buffer.from(user).toString('base64')}`
    const headers = { authorization, digest: digest('x') }
    const reply = await http.request({
      method,
      url,
      headers,
      ...(method === 'PUT' && { body: Buffer.from('x') }),
    })
    return [reply.status, (await reply.bytes(MIB)).toString()]
  }
  assert.equal((await ask('PUT', 'ann:wrong'))[0], 401)
  assert.equal((await ask('PUT', 'ann:secret'))[0], 200)
  assert.deepEqual(await ask('GET', 'ann:secret'), [200, 'x'])
  http.close()
})

test('a bucket of that name that another made is left alone', async () => {
  const other = await startDoor()
  try {
    await other.store.createBucket({ name: 'objects', owner: 'someone' })
    assert.equal(await status(other.put('a', 'b')), 409)
    assert.equal((await other.get('/objects/a'))[0], 404)
  } finally {
    await other.close()
  }
})
