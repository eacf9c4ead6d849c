/** Who may ask a volume server: passwords, tokens, the cluster's secret; and the pages that are no files. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { EPOCH, PROTOCOL_VERSION } from '../../src/blobs/cluster-wire.ts'
import { BasicAuth } from '../../src/net/basic-auth.ts'
import { HttpClient } from '../../src/net/http-client.ts'
import { signFidToken } from '../../src/net/jwt.ts'
import { TEST_TLS_CERT, TEST_TLS_KEY } from '../support/tls-files.ts'
import { ask, exchangeRaw, form, type Kit, post, startKit } from './volume-server-kit.ts'

const later = () => Math.floor(systemClock.nowMs() / 1000) + 100

async function withKit(
  options: Parameters<typeof startKit>[0],
  run: (kit: Kit) => Promise<void>,
): Promise<void> {
  const kit = await startKit(options)
  try {
    await run(kit)
  } finally {
    await kit.close()
  }
}

describe('passwords', () => {
  test('are asked for on everything but health checks and preflights', async () => {
    await withKit({ basicAuth: new BasicAuth('ada:secret') }, async (kit) => {
      const fid = kit.newFid()
      const good = { Authorization: `Basic ${Buffer.from('ada:secret').toString('base64')}` }
      const wrong = { Authorization: `Basic ${Buffer.from('ada:guess').toString('base64')}` }
      for (const headers of [{}, wrong]) {
        const refused = await post(kit.port, fid, { content: 'x' }, { headers })
        assert.equal(refused.status, 401)
        assert.match(String(refused.headers['www-authenticate']), /^Basic realm=/)
        for (const path of [`/${fid}`, '/status', '/metrics', '/']) {
          assert.equal((await ask(kit.port, { path, headers })).status, 401, path)
        }
        assert.equal((await ask(kit.port, { method: 'DELETE', path: `/${fid}`, headers })).status, 401)
      }
      assert.equal((await post(kit.port, fid, { content: 'x' }, { headers: good })).status, 201)
      assert.equal((await ask(kit.port, { path: `/${fid}`, headers: good })).text, 'x')
      assert.equal((await ask(kit.port, { path: '/healthz' })).status, 200)
      assert.equal((await ask(kit.port, { method: 'OPTIONS', path: `/${fid}` })).status, 200)
    })
  })
})

describe('tokens', () => {
  test('for writes, from the query, the header or the cookie', async () => {
    await withKit({ jwt: { writeKey: 'write' } }, async (kit) => {
      const fid = kit.newFid()
      const canonical = fid.replace(/,(00)+/, ',')
      const token = signFidToken('write', canonical, later())
      const refused = await post(kit.port, fid, { content: 'x' })
      assert.deepEqual([refused.status, refused.text], [401, '{"error":"wrong jwt"}'])
      const bearer = { Authorization: `BEARER ${token}` }
      assert.equal((await post(kit.port, fid, { content: 'x' }, { headers: bearer })).status, 201)
      const cookie = { Cookie: `a=b; AT=${token}` }
      assert.equal((await post(kit.port, fid, { content: 'y' }, { headers: cookie })).status, 201)
      assert.equal((await post(kit.port, `${fid}_1`, { content: 'z' }, { headers: bearer })).status, 201)
      assert.equal((await post(kit.port, kit.newFid(), { content: 'x' }, { headers: bearer })).status, 401)
      assert.equal((await ask(kit.port, { path: `/${fid}` })).text, 'y')
      assert.equal((await ask(kit.port, { method: 'DELETE', path: `/${fid}` })).status, 401)
      const expired = signFidToken('write', canonical, later() - 1000)
      assert.equal((await ask(kit.port, { method: 'DELETE', path: `/${fid}?jwt=${expired}` })).status, 401)
      assert.equal((await ask(kit.port, { method: 'DELETE', path: `/${fid}?jwt=${token}` })).status, 202)
    })
  })

  test('for reads, by their own key', async () => {
    await withKit({ jwt: { readKey: 'read' } }, async (kit) => {
      const fid = kit.newFid()
      const canonical = fid.replace(/,(00)+/, ',')
      await post(kit.port, fid, { content: 'x' })
      assert.equal((await ask(kit.port, { path: `/${fid}` })).status, 401)
      assert.equal(
        (await ask(kit.port, { path: `/${fid}?jwt=${signFidToken('write', canonical, later())}` })).status,
        401,
      )
      assert.equal(
        (await ask(kit.port, { path: `/${fid}?jwt=${signFidToken('read', canonical, later())}` })).text,
        'x',
      )
    })
  })
})

describe('TLS', () => {
  test('files over https, and nothing in the clear', async () => {
    await withKit({ tls: { key: TEST_TLS_KEY, cert: TEST_TLS_CERT } }, async (kit) => {
      const client = new HttpClient({ ca: TEST_TLS_CERT })
      const fid = kit.newFid()
      const url = `https://127.0.0.1:${kit.port}/${fid}`
      const content = randomBytes(300_000)
      const stored = await client.request({ method: 'PUT', url, body: content })
      assert.equal(stored.status, 201)
      stored.discard()
      const got = await client.request({ method: 'GET', url })
      assert.ok((await got.bytes(1_000_000)).equals(content))
      client.close()
      const clear = await exchangeRaw(kit.port, `GET /${fid} HTTP/1.1\r\nHost: x\r\n\r\n`)
      assert.ok(!clear.includes('200 OK'))
    })
  })
})

describe('pages and calls', () => {
  test('status, health and metrics', async () => {
    await withKit({ volumeIds: [3, 1] }, async (kit) => {
      await post(kit.port, kit.newFid(), { content: 'x' })
      const status = (await ask(kit.port, { path: '/status' })).json() as {
        DiskStatuses: { dir: string; all: number; used: number; free: number }[]
        Version: string
        Volumes: { Id: number; FileCount: number; ReplicaPlacement: object; Ttl: object; ReadOnly: boolean }[]
      }
      assert.equal(status.Version, '0.0.0')
      assert.equal(status.DiskStatuses[0]!.dir, kit.directory)
      assert.equal(status.DiskStatuses[0]!.all, status.DiskStatuses[0]!.used + status.DiskStatuses[0]!.free)
      assert.deepEqual(
        status.Volumes.map(({ Id, FileCount }) => [Id, FileCount]),
        [
          [1, 1],
          [3, 0],
        ],
      )
      assert.deepEqual(status.Volumes[0]!.Ttl, { Count: 0, Unit: 0 })
      assert.match((await ask(kit.port, { path: '/status?pretty=1' })).text, /^\{\n {2}"DiskStatuses"/)
      assert.equal((await ask(kit.port, { path: '/healthz' })).status, 200)
      assert.equal((await ask(kit.port, { path: '/metrics' })).text, 'metric 1\n')
      const totals = kit.counters.totals()
      assert.deepEqual([totals.writes, totals.otherRequests, totals.status2xx], [1, 4, 5])
    })
  })

  test('the master makes, closes, compacts and removes volumes', async () => {
    await withKit({}, async (kit) => {
      const call = async (operation: string, message: object, sign = true) => {
        const path = `/admin/volume/${operation}`
        const envelope = {
          protocolVersion: PROTOCOL_VERSION,
          epoch: EPOCH,
          nodeId: kit.nodeId,
          toNodeId: kit.nodeId,
        }
        const body = Buffer.from(JSON.stringify({ ...envelope, ...message }))
        const headers = sign ? { Authorization: kit.clusterAuth.sign({ method: 'POST', path, body }) } : {}
        return await ask(kit.port, { method: 'POST', path, headers, body })
      }
      const volume = { id: 9, collection: 'pics', replicaPlacement: 0, ttl: 0 }
      assert.equal((await call('create', { volume }, false)).status, 401)
      assert.equal((await post(kit.port, kit.newFid(9), { content: 'x' })).status, 404)
      assert.equal((await call('create', { volume })).status, 200)
      const again = await call('create', { volume })
      assert.deepEqual([again.status, again.json().code], [409, 'volume_exists'])
      const fid = kit.newFid(9)
      assert.equal((await post(kit.port, fid, { content: 'x' })).status, 201)
      assert.equal((await call('readonly', { id: 9, readOnly: true })).status, 200)
      assert.equal((await post(kit.port, kit.newFid(9), { content: 'x' })).status, 409)
      assert.equal((await call('readonly', { id: 9, readOnly: false })).status, 200)
      assert.equal((await ask(kit.port, { method: 'DELETE', path: `/${fid}` })).status, 202)
      const compacted = await call('compact', { id: 9, garbageThreshold: 0.1 })
      assert.deepEqual([compacted.status, compacted.json().compacted], [200, true])
      assert.equal((await call('delete', { id: 9 })).status, 200)
      assert.equal((await ask(kit.port, { path: `/${fid}` })).status, 404)
      assert.equal((await ask(kit.port, { path: '/admin/volume/create' })).status, 400)
    })
  })
})

describe('chunk manifests', () => {
  test('across two servers: served, by ranges too, and deleted with their chunks', async () => {
    const far = await startKit({ volumeIds: [2] })
    const url = `127.0.0.1:${far.port}`
    await withKit({ find: async (id) => (id === 2 ? [{ url, publicUrl: url }] : []) }, async (kit) => {
      const whole = randomBytes(250_000)
      const sizes = [100_000, 100_000, 50_000]
      const chunks: { fid: string; offset: number; size: number }[] = []
      let offset = 0
      for (const [i, size] of sizes.entries()) {
        const [server, fid] = i === 1 ? [far, far.newFid(2)] : [kit, kit.newFid()]
        await post(server.port, fid, { content: whole.subarray(offset, offset + size) })
        chunks.push({ fid, offset, size })
        offset += size
      }
      const fid = kit.newFid()
      const manifest = { name: 'whole.bin', mime: 'video/mp4', size: whole.length, chunks: chunks.reverse() }
      const { headers, body } = form({ content: JSON.stringify(manifest), filename: 'whole.bin' })
      assert.equal(
        (await ask(kit.port, { method: 'POST', path: `/${fid}?cm=true`, headers, body })).status,
        201,
      )
      const got = await ask(kit.port, { path: `/${fid}` })
      assert.ok(got.body.equals(whole))
      assert.equal(got.headers['x-file-store'], 'chunked')
      assert.equal(got.headers['content-type'], 'video/mp4')
      const part = await ask(kit.port, { path: `/${fid}`, headers: { Range: 'bytes=99990-200010' } })
      assert.ok(part.body.equals(whole.subarray(99_990, 200_011)))
      const removed = await ask(kit.port, { method: 'DELETE', path: `/${fid}` })
      assert.deepEqual([removed.status, removed.json().size], [202, whole.length])
      for (const chunk of chunks) {
        const port = chunk.fid.startsWith('2') ? far.port : kit.port
        assert.equal((await ask(port, { path: `/${chunk.fid}` })).status, 404)
      }
    })
    await far.close()
  })

  test('with a chunk missing: no half file passes for a whole one', async () => {
    await withKit({}, async (kit) => {
      const [here, gone, fid] = [kit.newFid(), kit.newFid(), kit.newFid()]
      await post(kit.port, here, { content: Buffer.alloc(100_000) })
      const chunks = [
        { fid: here, offset: 0, size: 100_000 },
        { fid: gone, offset: 100_000, size: 5 },
      ]
      const { headers, body } = form({ content: JSON.stringify({ size: 100_005, chunks }) })
      await ask(kit.port, { method: 'POST', path: `/${fid}?cm=true`, headers, body })
      await assert.rejects(ask(kit.port, { path: `/${fid}` }), /aborted|hang up|ECONNRESET/)
      assert.equal((await ask(kit.port, { path: `/${fid}`, headers: { Range: 'bytes=0-9' } })).status, 206)
      const early = await ask(kit.port, { path: `/${fid}`, headers: { Range: 'bytes=-2' } })
      assert.deepEqual([early.status, early.json().error], [500, `chunk ${gone} is missing`])
    })
  })
})
