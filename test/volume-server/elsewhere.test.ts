/** Reads of files that another volume server has: passed on, sent there, or missing; and who may ask without a password. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { ClusterAuth } from '../../src/blobs/cluster-auth.ts'
import { BasicAuth } from '../../src/net/basic-auth.ts'
import { signFidToken } from '../../src/net/jwt.ts'
import { ask, type Kit, type KitOptions, post, startKit } from './volume-server-kit.ts'

const secret = randomBytes(32)
const newAuth = (key = secret) => new ClusterAuth({ secret: key, clock: systemClock, random: systemRandom })
const DEAD = { url: '127.0.0.1:1', publicUrl: '127.0.0.1:1' }

describe('reads of files that live elsewhere', () => {
  let far: Kit
  const kits: Kit[] = []

  before(async () => {
    far = await startKit({ volumeIds: [2], clusterAuth: newAuth(), find: async () => [] })
    kits.push(far)
  })

  after(async () => {
    for (const kit of kits) await kit.close()
  })

  const farPlace = () => ({ url: `127.0.0.1:${far.port}`, publicUrl: `localhost:${far.port}` })

  async function near(options: KitOptions = {}): Promise<Kit> {
    const find = async (id: number) => (id === 2 ? [farPlace()] : [])
    const kit = await startKit({ clusterAuth: newAuth(), find, ...options })
    kits.push(kit)
    return kit
  }

  test('are passed on whole, in parts, by name, by condition, and as gzip', async () => {
    const kit = await near()
    const fid = far.newFid(2)
    const content = 'a plain text that shrinks, '.repeat(1000)
    const headers = { 'Seaweed-Owner': 'ada' }
    const file = { filename: 'text.txt', mime: 'text/plain', lines: ['Content-Encoding: gzip'] }
    await post(far.port, fid, { ...file, content: gzipSync(content) }, { headers })
    const here = await ask(far.port, { path: `/${fid}` })
    const there = await ask(kit.port, { path: `/${fid}` })
    assert.deepEqual([there.status, there.text], [200, content])
    const volatile = ['date', 'x-amz-request-id']
    for (const [name, value] of Object.entries(here.headers))
      if (!volatile.includes(name)) assert.deepEqual(there.headers[name], value, name)
    const gzip = await ask(kit.port, { path: `/${fid}`, headers: { 'Accept-Encoding': 'gzip' } })
    assert.equal(gzip.headers['content-encoding'], 'gzip')
    assert.equal(gunzipSync(gzip.body).toString(), content)
    const part = await ask(kit.port, { path: `/${fid}`, headers: { Range: 'bytes=5-9' } })
    assert.deepEqual(
      [part.status, part.text, part.headers['content-range']],
      [206, content.slice(5, 10), `bytes 5-9/${content.length}`],
    )
    const same = await ask(kit.port, { path: `/${fid}`, headers: { 'If-None-Match': here.headers.etag } })
    assert.deepEqual([same.status, same.text], [304, ''])
    const head = await ask(kit.port, { method: 'HEAD', path: `/${fid}` })
    assert.deepEqual(
      [head.status, head.headers['content-length'], head.text],
      [200, String(content.length), ''],
    )
    const named = await ask(kit.port, { path: `/${fid.replace(',', '/')}/other.css?dl=true` })
    assert.match(named.headers['content-disposition']!, /attachment; filename="?other.css/)
    const missing = await ask(kit.port, { path: `/${far.newFid(2)}` })
    assert.deepEqual([missing.status, missing.text], [404, ''])
    assert.equal((await ask(kit.port, { path: '/77,0163703712' })).status, 404)
  })

  test('are passed on piece by piece when they are large', async () => {
    const kit = await near()
    const fid = far.newFid(2)
    const content = randomBytes(6_000_000)
    await post(far.port, fid, { content })
    assert.ok((await ask(kit.port, { path: `/${fid}` })).body.equals(content))
    const part = await ask(kit.port, { path: `/${fid}`, headers: { Range: 'bytes=1000000-4999999' } })
    assert.ok(part.body.equals(content.subarray(1_000_000, 5_000_000)))
  })

  test('are passed on once: two servers that mean each other do not go round', async () => {
    const one = await near({ find: async () => [{ url: `127.0.0.1:${two.port}`, publicUrl: '' }] })
    const two: Kit = await near({ find: async () => [{ url: `127.0.0.1:${one.port}`, publicUrl: '' }] })
    const reply = await ask(one.port, { path: '/9,0163703712' })
    assert.equal(reply.status, 404)
    assert.ok(two.counters.totals().reads <= 2)
    assert.equal(one.counters.totals().reads, 1)
  })

  test('by redirect, or not at all', async () => {
    const fid = far.newFid(2)
    await post(far.port, fid, { content: 'far' })
    const redirecting = await near({ readMode: 'redirect' })
    const sent = await ask(redirecting.port, { path: `/${fid}` })
    const location = `http://localhost:${far.port}/${fid}?proxied=true`
    assert.equal(sent.status, 301)
    assert.equal(sent.headers.location!.replace(/,0+/, ','), location.replace(/,0+/, ','))
    const named = await ask(redirecting.port, { path: `/${fid}.txt?dl=true` })
    assert.equal(named.headers.location, `http://localhost:${far.port}/${fid}.txt?dl=true&proxied=true`)
    assert.equal((await ask(redirecting.port, { path: `/${fid}?proxied=true` })).status, 404)
    const local = await near({ readMode: 'local' })
    assert.equal((await ask(local.port, { path: `/${fid}` })).status, 404)
    assert.equal((await ask(far.port, { path: `/${fid}?proxied=true` })).text, 'far')
  })

  test('are found again when the volume has moved or a server is down', async () => {
    const fid = far.newFid(2)
    await post(far.port, fid, { content: 'far' })
    const empty = await near({ find: async () => [] })
    const stale = { url: `127.0.0.1:${empty.port}`, publicUrl: '' }
    for (const wrong of [DEAD, stale]) {
      const kit = await near({ find: async (_id, again) => (again ? [farPlace()] : [wrong]) })
      assert.equal((await ask(kit.port, { path: `/${fid}` })).text, 'far')
    }
    const lost = await near({ find: async () => [DEAD] })
    assert.equal((await ask(lost.port, { path: `/${fid}` })).status, 503)
  })

  test('need no password or token between servers, and only there', async () => {
    const guards = { basicAuth: new BasicAuth('ada:secret'), jwt: { readKey: 'read', writeKey: 'write' } }
    const guarded = await near({ volumeIds: [3], ...guards })
    const place = { url: `127.0.0.1:${guarded.port}`, publicUrl: '' }
    const kit = await near({ find: async () => [place], ...guards })
    const fid = guarded.newFid(3)
    const canonical = fid.replace(/,(00)+/, ',')
    const inAnHour = Math.floor(systemClock.nowMs() / 1000) + 3600
    const password = { Authorization: `Basic ${Buffer.from('ada:secret').toString('base64')}` }
    const token = (key: string) => `?jwt=${signFidToken(key, canonical, inAnHour)}`
    const path = `/${fid}${token('write')}`
    assert.equal((await post(guarded.port, fid, { content: 'x' }, { path, headers: password })).status, 201)
    // Who asks the near server shows what it would show the far one.
    const read = `/${fid}${token('read')}`
    assert.equal((await ask(kit.port, { path: read, headers: password })).text, 'x')
    for (const refused of [
      { path: `/${fid}`, headers: password },
      { path: read, headers: {} },
    ])
      assert.equal((await ask(kit.port, refused)).status, 401)
    const signed = (method: string, target: string, auth = newAuth()) => ({
      Authorization: auth.sign({ method, path: target, body: Buffer.alloc(0) }),
    })
    const byPeer = { path: `/${fid}`, headers: signed('GET', `/${fid}`) }
    assert.equal((await ask(guarded.port, byPeer)).text, 'x')
    for (const headers of [
      signed('GET', `/${fid}`, newAuth(randomBytes(32))),
      signed('GET', `/${fid}?dl=true`),
      signed('HEAD', `/${fid}`),
    ])
      assert.equal((await ask(guarded.port, { path: `/${fid}`, headers })).status, 401)
    const write = { method: 'PUT', path: `/${fid}`, headers: signed('PUT', `/${fid}`) }
    assert.equal((await ask(guarded.port, write)).status, 401)
    const removal = { method: 'DELETE', path: `/${fid}`, headers: signed('DELETE', `/${fid}`) }
    assert.equal((await ask(guarded.port, removal)).status, 202)
    const again = await ask(guarded.port, removal)
    assert.deepEqual([again.status, again.json().error], [401, 'this message was already received'])
  })
})
