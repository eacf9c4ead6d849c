/** The master over real sockets: every reply of its API, with volume servers that come, go and refuse. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { StoreError } from '../../src/base/errors.ts'
import { parseFid } from '../../src/base/fid.ts'
import { type Log, silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import { randomUuid } from '../../src/blobs/heartbeat.ts'
import { MasterServer, type MasterServerOptions } from '../../src/blobs/master-server.ts'
import { FileMasterState } from '../../src/blobs/master-state.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import { BasicAuth } from '../../src/net/basic-auth.ts'
import { BodyBudget } from '../../src/net/body.ts'
import { HttpClient } from '../../src/net/http-client.ts'
import { verifyFidToken } from '../../src/net/jwt.ts'
import {
  CLUSTER_SECRET,
  directoryInfo,
  MemoryVolumeAdmin,
  TestVolumeNode,
  testAuth,
  volumeInfo,
} from '../support/volume-node.ts'

const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-master-'))
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

interface Running {
  server: MasterServer
  url: string
  close(): Promise<void>
}

async function startMaster(
  options: Partial<MasterServerOptions> & { directory?: string; port?: number } = {},
): Promise<Running> {
  const directory = options.directory ?? newDirectory()
  const http = new HttpClient()
  const server = new MasterServer({
    nodeId: randomUuid(systemRandom),
    state: FileMasterState.open({ disk: realDisk, directory, random: systemRandom }),
    auth: testAuth(),
    http,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    bodyBudget: new BodyBudget(new SharedArrayBuffer(4), 2 ** 26),
    heartbeatPeriodMs: 100,
    vacuumPeriodMs: 0,
    version: '0.1.0',
    ...options,
  })
  const port = await server.listen({ host: '127.0.0.1', port: options.port ?? 0 })
  const close = async () => {
    http.close()
    await server.close()
  }
  cleanups.push(close)
  return { server, url: `127.0.0.1:${port}`, close }
}

async function startNode(
  master: Running,
  options: Partial<ConstructorParameters<typeof TestVolumeNode>[0]> = {},
) {
  const node = await new TestVolumeNode({ master: master.url, ...options }).start()
  cleanups.push(() => node.stop())
  return node
}

interface Reply {
  status: number
  headers: Headers
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: replies are looked into freely.
  json: any
}

async function ask(master: Running, path: string, init: RequestInit = {}): Promise<Reply> {
  const reply = await fetch(`http://${master.url}${path}`, {
    redirect: 'manual',
    signal: AbortSignal.timeout(20_000),
    ...init,
  })
  const text = await reply.text()
  const isJson = reply.headers.get('content-type') === 'application/json'
  return { status: reply.status, headers: reply.headers, text, json: isJson ? JSON.parse(text) : undefined }
}

/** Asks again until the reply is as wanted, for what follows from a heartbeat. */
async function askUntil(master: Running, path: string, isWanted: (reply: Reply) => boolean): Promise<Reply> {
  for (let attempt = 0; ; attempt++) {
    const reply = await ask(master, path)
    if (isWanted(reply)) return reply
    assert.ok(attempt < 2_000, `${path} never became as wanted: ${reply.status} ${reply.text}`)
    await systemClock.sleep(25)
  }
}

test('assign gives an id on a volume that it makes', async () => {
  const master = await startMaster()
  const node = await startNode(master)
  const reply = await ask(master, '/dir/assign')
  assert.equal(reply.status, 200)
  assert.deepEqual(Object.keys(reply.json), ['fid', 'url', 'publicUrl', 'count'])
  assert.equal(reply.json.url, node.url)
  assert.equal(reply.json.publicUrl, node.url.replace('127.0.0.1', 'localhost'))
  assert.equal(reply.json.count, 1)
  const { volumeId, keyLow } = parseFid(reply.json.fid)
  assert.ok(node.admin.volumes.has(volumeId))
  assert.equal(keyLow, 1)
  assert.equal(reply.text.includes('\n'), false)
  assert.equal(reply.headers.get('x-content-type-options'), 'nosniff')
  assert.match(reply.headers.get('x-amz-request-id') ?? '', /^[0-9A-Fa-f]+$/)
  assert.equal(reply.headers.get('authorization'), null)
})

test('assign by GET, POST, PUT, with parameters in query or form', async () => {
  const master = await startMaster()
  await startNode(master, { volumeCountMax: 100 })
  const form = new FormData()
  form.set('collection', 'forms')
  form.set('count', '3')
  const ways: [path: string, init: RequestInit, count: number][] = [
    ['/dir/assign?count=5', {}, 5],
    ['/dir/assign?count=5', { method: 'POST' }, 5],
    ['/dir/assign?count=5', { method: 'PUT' }, 5],
    ['/dir/assign', { method: 'POST', body: new URLSearchParams({ count: '4' }) }, 4],
    ['/dir/assign?count=9', { method: 'POST', body: form }, 3],
    [
      '/dir/assign?count=2',
      { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } },
      2,
    ],
    ['/dir/assign?count=', {}, 1],
    ['/dir/assign?disk=ssd&dataSize=100&preallocate=0&writableVolumeCount=1&memoryMapMaxSizeMb=2', {}, 1],
  ]
  const seen: number[] = []
  for (const [path, init, count] of ways) {
    const reply = await ask(master, path, init)
    assert.equal(reply.status, 200, reply.text)
    assert.equal(reply.json.count, count)
    seen.push(parseFid(reply.json.fid).keyLow)
  }
  assert.deepEqual(seen, [1, 6, 11, 16, 20, 23, 25, 26])
  assert.equal((await ask(master, '/dir/assign', { method: 'DELETE' })).status, 405)
})

test('pretty indents, errors too', async () => {
  const master = await startMaster()
  await startNode(master)
  assert.match((await ask(master, '/dir/assign?pretty=y')).text, /^\{\n {2}"fid": "/)
  assert.equal((await ask(master, '/dir/assign?pretty=1&ttl=5s')).text.startsWith('{\n  "error": "ttl'), true)
})

test('parameters of assign that cannot be meant', async () => {
  const master = await startMaster()
  await startNode(master)
  const cases: [query: string, status: number, reason: RegExp][] = [
    ['ttl=5s', 406, /unknown unit/],
    ['ttl=abc', 406, /ttl/],
    ['replication=999', 406, /^unexpected replication type: 999$/],
    ['replication=abc', 406, /unknown replication type: abc/],
    ['replication=001', 406, /replication 001 comes in a later version/],
    ['replication=10', 406, /replication 010 comes in a later version/],
    ['dataCenter=mars', 400, /data center mars not found/],
    ['rack=r9', 400, /rack r9 not found/],
    ['dataNode=10.0.0.1:8080', 400, /data node 10\.0\.0\.1:8080 not found/],
    ['count=x', 400, /count/],
    ['count=0', 400, /count/],
    ['count=-1', 400, /count/],
    ['count=1.5', 400, /count/],
    ['count=99999999999999999999', 400, /count/],
    ['dataSize=big', 400, /dataSize/],
    ['writableVolumeCount=many', 400, /writableVolumeCount/],
    ['preallocate=x', 406, /preallocate/],
    ['collection=a/b', 400, /collection/],
    ['collection=../x', 400, /collection/],
    ['collection=.hidden', 400, /collection/],
    ['collection=a%00b', 400, /collection/],
    [`collection=${'x'.repeat(200)}`, 400, /collection/],
  ]
  for (const [query, status, reason] of cases) {
    const reply = await ask(master, `/dir/assign?${query}`)
    assert.equal(reply.status, status, query)
    assert.deepEqual(Object.keys(reply.json), ['error'], query)
    assert.match(reply.json.error, reason, query)
  }
})

test('a form over its limit is refused, and the connection answers', async () => {
  const master = await startMaster()
  await startNode(master)
  const body = new URLSearchParams({ collection: 'x'.repeat(100_000) })
  const reply = await ask(master, '/dir/assign', { method: 'POST', body })
  assert.equal(reply.status, 413)
})

test('before any volume server reports, nothing is said to be absent', async () => {
  const master = await startMaster()
  for (const path of ['/dir/assign', '/dir/lookup?volumeId=3', '/3,0163', '/vol/grow?count=1', '/readyz']) {
    const reply = await ask(master, path)
    assert.equal(reply.status, 503, path)
    assert.equal(reply.headers.get('retry-after'), '1', path)
    assert.match(reply.json.error, /no volume server has reported yet/)
  }
  for (const path of ['/healthz', '/cluster/healthz', '/dir/status']) {
    assert.equal((await ask(master, path)).status, 200)
  }
  await startNode(master)
  assert.equal((await ask(master, '/readyz')).status, 200)
  assert.equal((await ask(master, '/dir/lookup?volumeId=3')).status, 404)
})

test('lookup', async () => {
  const master = await startMaster()
  const node = await startNode(master, { dataCenter: 'dc1' })
  const { fid } = (await ask(master, '/dir/assign?collection=photos')).json
  const volume = fid.split(',')[0]
  const found = {
    volumeId: volume,
    volumeOrFileId: volume,
    locations: [{ url: node.url, publicUrl: node.url.replace('127.0.0.1', 'localhost'), dataCenter: 'dc1' }],
  }
  const queries = [
    `volumeId=${volume}`,
    `volumeId=${fid}`,
    `fileId=${fid}`,
    `volumeId=${volume}&collection=photos`,
  ]
  for (const query of queries) {
    const reply = await ask(master, `/dir/lookup?${query}`)
    assert.equal(reply.status, 200, query)
    assert.deepEqual(reply.json, found, query)
    assert.deepEqual(Object.keys(reply.json), ['volumeId', 'volumeOrFileId', 'locations'])
  }
  const form = await ask(master, '/dir/lookup', {
    method: 'POST',
    body: new URLSearchParams({ volumeId: volume }),
  })
  assert.deepEqual(form.json, found)
  const missing: [query: string, ids: string, error: string][] = [
    ['volumeId=77', '77', 'volume id 77 not found'],
    [`volumeId=${volume}&collection=other`, volume, `volume id ${volume} not found`],
    ['volumeId=abc', 'abc', 'Unknown volume id abc'],
    ['volumeId=99999999999', '99999999999', 'Unknown volume id 99999999999'],
  ]
  for (const [query, id, error] of missing) {
    const reply = await ask(master, `/dir/lookup?${query}`)
    assert.equal(reply.status, 404, query)
    assert.deepEqual(reply.json, { volumeId: id, volumeOrFileId: id, error })
  }
  assert.equal((await ask(master, '/dir/lookup')).status, 400)
})

/** Sends bytes as they are and gives all that comes back. */
async function raw(master: Running, text: string): Promise<string> {
  const socket = connect(Number(master.url.split(':')[1]), '127.0.0.1')
  socket.setTimeout(10_000, () => socket.destroy())
  socket.write(text)
  let reply = ''
  for await (const piece of socket) reply += piece
  return reply
}

test('a lower-case get is answered as GET', async () => {
  const master = await startMaster({ basicAuth: new BasicAuth('ann:secret') })
  await startNode(master)
  const user = `authorization: Basic ${Buffer.from('ann:secret').toString('base64')}`
  const found = await raw(master, `get /dir/lookup?volumeId=77 HTTP/1.1\r\nHost: x\r\n${user}\r\n\r\n`)
  assert.match(found, /^HTTP\/1\.1 404 Not Found\r\n/)
  assert.match(
    found,
    /Connection: close\r\n\r\n\{"volumeId":"77","volumeOrFileId":"77","error":"volume id 77 not found"\}$/,
  )
  assert.match(found, /X-Amz-Request-Id: /)
  assert.match(await raw(master, 'get /dir/assign HTTP/1.1\r\nHost: x\r\n\r\n'), /^HTTP\/1\.1 401 /)
  assert.match(await raw(master, `get /dir/assign HTTP/1.1\r\nHost: x\r\n${user}\r\n\r\n`), /"fid":"/)
  for (const other of ['post', 'Get', 'BREW', 'get /dir/assign', 'get  /']) {
    assert.match(await raw(master, `${other} / HTTP/1.1\r\nHost: x\r\n\r\n`), /^HTTP\/1\.1 400 /, other)
  }
})

test('redirect of a file id, query kept', async () => {
  const master = await startMaster()
  const node = await startNode(master)
  const { fid } = (await ask(master, '/dir/assign')).json
  const publicUrl = node.url.replace('127.0.0.1', 'localhost')
  for (const path of [`/${fid}`, `/${fid}.jpg?width=3&x=%2F`, `/${fid.replace(',', '/')}/name.txt`]) {
    const reply = await ask(master, path)
    assert.equal(reply.status, 308)
    assert.equal(reply.headers.get('location'), `http://${publicUrl}${path}`)
  }
  assert.equal((await ask(master, `/${fid}`, { method: 'PUT', body: 'x' })).status, 308)
  const missing = await ask(master, '/77,0163')
  assert.equal(missing.status, 404)
  assert.deepEqual(missing.json, { error: 'volume id 77 not found' })
  assert.equal((await ask(master, '/abc,0163')).json.error, 'volume id abc not found')
  for (const path of ['/favicon.ico', '/a/b', '//evil.example/3,01', '/__proto__', '/constructor']) {
    const reply = await ask(master, path)
    assert.equal(reply.status, 404, path)
    assert.equal(typeof reply.json.error, 'string')
  }
})

test('grow', async () => {
  const master = await startMaster()
  const node = await startNode(master, { volumeCountMax: 5 })
  assert.deepEqual((await ask(master, '/vol/grow?count=2&collection=c&ttl=60m')).json, { count: 2 })
  assert.deepEqual(
    [...node.admin.volumes.values()].map(({ id, collection, ttl }) => ({ id, collection, ttl })),
    [
      { id: 1, collection: 'c', ttl: (1 << 8) | 2 },
      { id: 2, collection: 'c', ttl: (1 << 8) | 2 },
    ],
  )
  const refused: [query: string, status: number, error: string | RegExp][] = [
    ['count=x', 406, 'can not parse parameter count x'],
    ['', 406, 'can not parse parameter count '],
    ['count=0', 406, 'can not parse parameter count 0'],
    ['count=4', 406, 'only 3 volumes left, not enough for 4'],
    ['count=1&replication=100', 406, /later version/],
    ['count=1&dataCenter=mars', 400, /mars/],
    ['count=1&ttl=5s', 406, /ttl/],
  ]
  for (const [query, status, error] of refused) {
    const reply = await ask(master, `/vol/grow?${query}`)
    assert.equal(reply.status, status, query)
    if (typeof error === 'string') assert.deepEqual(reply.json, { error })
    else assert.match(reply.json.error, error)
  }
})

test('no room is 406, a volume server that fails is 503', async () => {
  const master = await startMaster()
  const node = await startNode(master, { volumeCountMax: 1 })
  await ask(master, '/dir/assign')
  const reply = await ask(master, '/dir/assign?collection=full&ttl=3m')
  assert.equal(reply.status, 406)
  assert.equal(
    reply.json.error,
    'No writable volumes and no free volumes left for {"collection":"full","replication":"000","ttl":"3m"}',
  )
  node.admin.directory.volumeCountMax = 4
  await node.sender?.flush()
  node.admin.failure = new StoreError('io_error', 'the disk is on fire')
  const failing = await ask(master, '/dir/assign?collection=full')
  assert.equal(failing.status, 503)
  assert.equal(failing.headers.get('retry-after'), '1')
  assert.match(failing.json.error, /on fire/)
})

test('assigns that find nothing share one growth and wait for it', async () => {
  const master = await startMaster()
  const node = await startNode(master)
  const opened = Promise.withResolvers<void>()
  node.admin.gate = opened.promise
  const asked = Array.from({ length: 20 }, () => ask(master, '/dir/assign'))
  await systemClock.sleep(50)
  opened.resolve()
  for (const reply of await Promise.all(asked)) assert.equal(reply.status, 200)
  assert.equal(node.admin.created.length, 2)
})

test('status pages', async () => {
  const master = await startMaster()
  const one = await startNode(master, { dataCenter: 'dc1', rack: 'r1', volumeCountMax: 10 })
  await startNode(master, { volumeCountMax: 3 })
  await ask(master, '/vol/grow?count=3&dataCenter=dc1')
  await ask(master, '/vol/grow?count=1&dataCenter=dc1&collection=c&ttl=3d')
  one.admin.volumes.get(2)!.readOnly = true
  await one.sender?.flush()
  const { json } = await ask(master, '/dir/status')
  assert.deepEqual(Object.keys(json), ['Topology', 'TopologyId', 'Version'])
  assert.match(json.TopologyId, /^[0-9a-f-]{36}$/)
  assert.deepEqual(Object.keys(json.Topology), ['Max', 'Free', 'DataCenters', 'Layouts'])
  assert.equal(json.Topology.Max, 13)
  assert.equal(json.Topology.Free, 9)
  const dc1 = json.Topology.DataCenters.find((each: { Id: string }) => each.Id === 'dc1')
  assert.deepEqual(dc1.Racks, [
    {
      Id: 'r1',
      DataNodes: [
        {
          Url: one.url,
          PublicUrl: one.url.replace('127.0.0.1', 'localhost'),
          Volumes: 4,
          EcShards: 0,
          Max: 10,
          VolumeIds: ' 1-4',
        },
      ],
    },
  ])
  assert.deepEqual(
    json.Topology.DataCenters.map((each: { Id: string }) => each.Id),
    ['DefaultDataCenter', 'dc1'],
  )
  assert.deepEqual(json.Topology.Layouts, [
    { replication: '000', ttl: '', writables: [1, 3], collection: '', diskType: 'hdd' },
    { replication: '000', ttl: '3d', writables: [4], collection: 'c', diskType: 'hdd' },
  ])
  const volumes = (await ask(master, '/vol/status')).json
  assert.equal(volumes.Volumes.Max, 13)
  assert.equal(volumes.Volumes.Free, 9)
  const [first, second] = volumes.Volumes.DataCenters.dc1.r1[one.url]
  assert.equal(first.Id, 1)
  assert.equal(second.ReadOnly, true)
  assert.deepEqual(first.ReplicaPlacement, {})
  assert.deepEqual(first.Ttl, { Count: 0, Unit: 0 })
  const cluster = (await ask(master, '/cluster/status')).json
  assert.deepEqual(cluster, { IsLeader: true, Leader: master.url, MaxVolumeId: 4 })
  assert.equal((await ask(master, '/')).status, 200)
})

test('what is free on a disk is free once, however many directories it has', async () => {
  const master = await startMaster()
  const node = await startNode(master)
  const [totalBytes, freeBytes] = [1000, 400]
  Object.assign(node.admin.directory, { totalBytes, freeBytes, disk: 1 })
  for (const disk of [1, 1, 2])
    node.admin.moreDirectories.push(directoryInfo({ totalBytes, freeBytes, disk }))
  await node.sender?.flush()
  const { json } = await ask(master, '/', { headers: { accept: 'application/json' } })
  assert.deepEqual([json.nodes[0].totalBytes, json.nodes[0].freeBytes], [2000, 800])
})

test('cluster status leaves out what is empty', async () => {
  const master = await startMaster()
  assert.deepEqual((await ask(master, '/cluster/status')).json, { IsLeader: true, Leader: master.url })
})

test('collections', async () => {
  const master = await startMaster()
  const node = await startNode(master)
  await ask(master, '/vol/grow?count=2&collection=x')
  await ask(master, '/vol/grow?count=1&collection=y')
  const info = (await ask(master, '/collection/info?collection=x')).json
  assert.equal(info.Collection, 'x')
  assert.equal(info.VolumeCount, 2)
  assert.ok(Array.isArray((await ask(master, '/collection/info?collection=x&detail=true')).json))
  assert.equal((await ask(master, '/collection/info')).status, 400)
  assert.equal((await ask(master, '/collection/info?collection=no')).status, 400)
  const deleted = await ask(master, '/col/delete?collection=x')
  assert.equal(deleted.status, 204)
  assert.equal(deleted.text, '')
  assert.deepEqual([...node.admin.volumes.keys()], [3])
  assert.equal((await ask(master, '/dir/lookup?volumeId=1')).status, 404)
  for (const collection of ['x', '']) {
    const reply = await ask(master, `/col/delete?collection=${collection}`)
    assert.equal(reply.status, 400)
    assert.deepEqual(reply.json, { error: `collection ${collection} does not exist` })
  }
  node.admin.failure = new StoreError('io_error', 'the disk is on fire')
  const failed = await ask(master, '/col/delete?collection=y')
  assert.equal(failed.status, 500)
  assert.match(failed.json.error, /on fire/)
  assert.equal((await ask(master, '/dir/lookup?volumeId=3')).status, 200)
})

test('vacuum compacts what has garbage, and answers the status', async () => {
  const master = await startMaster()
  const admin = new MemoryVolumeAdmin(8)
  admin.volumes.set(1, volumeInfo({ id: 1, sizeBytes: 1000, deletedBytes: 500 }))
  admin.volumes.set(2, volumeInfo({ id: 2, sizeBytes: 1000, deletedBytes: 350 }))
  admin.volumes.set(3, volumeInfo({ id: 3, sizeBytes: 1000, deletedBytes: 100 }))
  admin.volumes.set(4, volumeInfo({ id: 4, sizeBytes: 1000, deletedBytes: 900, readOnly: true }))
  const node = await startNode(master, { admin })
  const reply = await ask(master, '/vol/vacuum?garbageThreshold=0.4')
  assert.equal(reply.status, 200)
  assert.deepEqual(Object.keys(reply.json), ['Topology', 'TopologyId', 'Version'])
  assert.deepEqual(admin.compacted, [1])
  await node.sender?.flush()
  await ask(master, '/vol/vacuum')
  assert.deepEqual(admin.compacted, [1, 2])
  for (const bad of ['x', '-1', '1.5', '0x1', 'NaN', '1e-1']) {
    assert.equal((await ask(master, `/vol/vacuum?garbageThreshold=${bad}`)).status, 406, bad)
  }
  admin.failure = new StoreError('io_error', 'the disk is on fire')
  admin.volumes.get(3)!.deletedBytes = 900
  await node.sender?.flush()
  assert.equal((await ask(master, '/vol/vacuum')).status, 200)
})

test('a compaction may take longer than a silent connection lives', async () => {
  const master = await startMaster({ settings: { idleTimeoutMs: 100 } })
  const admin = new MemoryVolumeAdmin(8)
  admin.volumes.set(1, volumeInfo({ id: 1, sizeBytes: 1000, deletedBytes: 500 }))
  await startNode(master, { admin })
  const gate = Promise.withResolvers<void>()
  admin.gate = gate.promise
  const reply = ask(master, '/vol/vacuum')
  await systemClock.sleep(400)
  gate.resolve()
  assert.equal((await reply).status, 200)
})

test('submit stores a file on a volume server', async () => {
  const master = await startMaster({ signingKey: 'key of writes' })
  const node = await startNode(master)
  const form = new FormData()
  form.set('file', new File(['hello world'], 'h.txt', { type: 'text/plain' }))
  const reply = await ask(master, '/submit?ttl=3m&collection=c', { method: 'POST', body: form })
  assert.equal(reply.status, 201, reply.text)
  const { fid } = reply.json
  assert.deepEqual(reply.json, {
    eTag: '0badcafe',
    fid,
    fileName: 'h.txt',
    fileUrl: `${node.url.replace('127.0.0.1', 'localhost')}/${fid}`,
    size: 11,
  })
  assert.equal(node.uploads.length, 1)
  const sent = new URL(node.uploads[0]!.url, 'http://x')
  assert.equal(node.uploads[0]!.data.toString(), 'hello world')
  assert.equal(sent.pathname, `/${fid}`)
  assert.equal(sent.searchParams.get('ttl'), '3m')
  const nowS = Math.floor(Date.now() / 1000)
  verifyFidToken('key of writes', sent.searchParams.get('jwt') ?? '', { fid, nowS })
})

test('submit refuses what it cannot store, and tries another volume when one closed', async () => {
  const master = await startMaster()
  const node = await startNode(master)
  const form = () => {
    const data = new FormData()
    data.set('file', new File(['x'], 'x'))
    return data
  }
  const get = await ask(master, '/submit')
  assert.equal(get.status, 405)
  assert.deepEqual(get.json, { error: 'Only submit via POST!' })
  assert.equal((await ask(master, '/submit', { method: 'POST', body: 'plain' })).status, 400)
  const cut = {
    method: 'POST',
    body: '--b\r\n\r\n',
    headers: { 'content-type': 'multipart/form-data; boundary=b' },
  }
  assert.equal((await ask(master, '/submit', cut)).status, 400)
  assert.equal((await ask(master, '/submit?count=x', { method: 'POST', body: form() })).status, 400)
  assert.equal((await ask(master, '/submit?replication=001', { method: 'POST', body: form() })).status, 406)
  assert.equal(node.uploads.length, 0)
  node.refuseUploads = 507
  const refused = await ask(master, '/submit', { method: 'POST', body: form() })
  assert.equal(refused.status, 507)
  assert.deepEqual(refused.json, { error: 'refused' })
  node.refuseUploads = undefined
  assert.equal((await ask(master, '/submit', { method: 'POST', body: form() })).status, 201)
})

test('submit bounds one body and all bodies together', async () => {
  const master = await startMaster({
    fileSizeBytesMax: 200_000,
    bodyBudget: new BodyBudget(new SharedArrayBuffer(4), 102_400),
  })
  await startNode(master)
  const form = (bytes: number) => {
    const data = new FormData()
    data.set('file', new File([Buffer.alloc(bytes)], 'x'))
    return data
  }
  assert.equal((await ask(master, '/submit', { method: 'POST', body: form(300_000) })).status, 413)
  const busy = await ask(master, '/submit', { method: 'POST', body: form(150_000) })
  assert.equal(busy.status, 429)
  assert.equal((await ask(master, '/submit', { method: 'POST', body: form(100) })).status, 201)
})

test('tokens come with assign and lookup when keys are configured', async () => {
  const master = await startMaster({ signingKey: 'write key', readSigningKey: 'read key' })
  await startNode(master)
  const nowS = Math.floor(Date.now() / 1000)
  const token = (reply: Reply) => /^Bearer (.+)$/.exec(reply.headers.get('authorization') ?? '')?.[1] ?? ''
  const assigned = await ask(master, '/dir/assign?count=3')
  const { fid } = assigned.json
  verifyFidToken('write key', token(assigned), { fid, nowS })
  assert.throws(() => verifyFidToken('write key', token(assigned), { fid, nowS: nowS + 20 }))
  verifyFidToken('write key', token(await ask(master, `/dir/lookup?fileId=${fid}_2`)), { fid, nowS })
  verifyFidToken('read key', token(await ask(master, `/dir/lookup?fileId=${fid}&read=yes`)), { fid, nowS })
  assert.equal(token(await ask(master, `/dir/lookup?volumeId=${fid}`)), '')
  assert.equal((await ask(master, `/dir/lookup?fileId=${fid.split(',')[0]},zz`)).status, 400)
})

test('basic authentication on all but the health checks and the heartbeats', async () => {
  const master = await startMaster({ basicAuth: new BasicAuth('ann:secret') })
  await startNode(master)
  const headers = { authorization: `Basic ${Buffer.from('ann:secret').toString('base64')}` }
  for (const path of ['/dir/assign', '/dir/lookup?volumeId=1', '/', '/metrics', '/submit', '/1,0163']) {
    const reply = await ask(master, path)
    assert.equal(reply.status, 401, path)
    assert.match(reply.headers.get('www-authenticate') ?? '', /^Basic /)
  }
  assert.equal((await ask(master, '/healthz')).status, 200)
  assert.equal((await ask(master, '/dir/assign', { headers })).status, 200)
})

test('replies are counted by path, of which there are few', async () => {
  const replies: string[] = []
  const master = await startMaster({ onReply: (path, status) => void replies.push(`${path} ${status}`) })
  for (const path of ['/healthz', '/3,0163', '/nonsense', '/submit']) await ask(master, path)
  assert.deepEqual(replies, ['/healthz 200', 'other 503', 'other 404', '/submit 405'])
})

test('metrics by callback', async () => {
  const master = await startMaster({ metrics: async () => ({ contentType: 'text/plain', text: 'up 1\n' }) })
  const reply = await ask(master, '/metrics')
  assert.equal(reply.text, 'up 1\n')
  assert.equal((await ask(await startMaster(), '/metrics')).status, 404)
})

test('a node that falls silent is out, and back when it returns', async () => {
  const master = await startMaster()
  const node = await startNode(master, { periodMs: 50 })
  const other = await startNode(master, { periodMs: 50, dataCenter: 'dc2' })
  await ask(master, '/vol/grow?count=1&dataCenter=DefaultDataCenter')
  await ask(master, '/vol/grow?count=1&dataCenter=dc2')
  assert.equal((await ask(master, '/dir/lookup?volumeId=1')).json.locations[0].url, node.url)
  await node.die()
  await askUntil(master, '/dir/lookup?volumeId=1', ({ status }) => status === 404)
  for (let i = 0; i < 5; i++) assert.equal((await ask(master, '/dir/assign')).json.url, other.url)
  const again = await startNode(master, { nodeId: node.nodeId, admin: node.admin, periodMs: 50 })
  assert.equal((await ask(master, '/dir/lookup?volumeId=1')).json.locations[0].url, again.url)
})

test('a node that leaves is out at once', async () => {
  const master = await startMaster()
  const node = await startNode(master)
  await ask(master, '/vol/grow?count=1')
  await startNode(master)
  await node.stop()
  assert.equal((await ask(master, '/dir/lookup?volumeId=1')).status, 404)
})

test('a restarted master gives no key and no volume id again, and waits for the nodes that it knew', async () => {
  const directory = newDirectory()
  const first = await startMaster({ directory, heartbeatPeriodMs: 2_000 })
  const port = Number(first.url.split(':')[1])
  const nodes = [await startNode(first), await startNode(first)]
  const keys = new Set<string>()
  const keyOf = (fid: string) => fid.split(',')[1]!.slice(0, -8)
  for (let i = 0; i < 10; i++) keys.add(keyOf((await ask(first, '/dir/assign')).json.fid))
  const { MaxVolumeId } = (await ask(first, '/cluster/status')).json
  for (const node of nodes) await node.die()
  await first.close()
  const second = await startMaster({ directory, port, heartbeatPeriodMs: 2_000 })
  const one = await startNode(second, { nodeId: nodes[0]!.nodeId, admin: nodes[0]!.admin })
  assert.equal((await ask(second, '/dir/lookup?volumeId=77')).status, 503, 'the other node may have it')
  assert.equal((await ask(second, '/vol/grow?count=1')).status, 503)
  assert.equal((await ask(second, '/dir/assign')).json.url, one.url, 'what is known is used')
  await startNode(second, { nodeId: nodes[1]!.nodeId, admin: nodes[1]!.admin })
  assert.equal((await ask(second, '/dir/lookup?volumeId=77')).status, 404)
  for (let i = 0; i < 10; i++) keys.add(keyOf((await ask(second, '/dir/assign')).json.fid))
  assert.equal(keys.size, 20)
  await ask(second, '/vol/grow?count=1&collection=new')
  assert.equal((await ask(second, '/cluster/status')).json.MaxVolumeId, MaxVolumeId + 1)
})

test('a master without memory starts above every key and volume id that is reported', async () => {
  const master = await startMaster({ heartbeatPeriodMs: 20 })
  const admin = new MemoryVolumeAdmin(50)
  admin.volumes.set(40, volumeInfo({ id: 40, maxKeyHigh: 0x1ffff, maxKeyLow: 0xfffffffe, readOnly: true }))
  await startNode(master, { admin })
  await askUntil(master, '/readyz', ({ status }) => status === 200)
  const { fid } = (await ask(master, '/dir/assign')).json
  const { volumeId, keyHigh, keyLow } = parseFid(fid)
  assert.ok(volumeId > 40)
  assert.deepEqual([keyHigh, keyLow], [0x1ffff, 0xffffffff])
})

test('heartbeats with a wrong secret, another version or nonsense are refused and logged', async () => {
  const lines: string[] = []
  const log: Log = {
    ...silentLog,
    warn: (fields, message) => void lines.push(`${message} ${JSON.stringify(fields)}`),
  }
  const master = await startMaster({ log })
  const stranger = await new TestVolumeNode({ master: master.url, secret: Buffer.alloc(32, 9) }).start()
  cleanups.push(() => stranger.die())
  assert.equal((await ask(master, '/readyz')).status, 503)
  assert.match(lines.join('\n'), /refused a heartbeat.*wrong cluster secret/)
  const send = async (body: string) => {
    const message = { method: 'POST', path: '/cluster/heartbeat', body: Buffer.from(body) }
    return await ask(master, '/cluster/heartbeat', {
      method: 'POST',
      body,
      headers: { authorization: testAuth(systemClock, CLUSTER_SECRET).sign(message) },
    })
  }
  const nodeId = randomUuid(systemRandom)
  const old = await send(JSON.stringify({ protocolVersion: 9, nodeId, epoch: 1 }))
  assert.equal(old.status, 426)
  assert.match(old.json.error, /protocol version 9; this process speaks 1/)
  assert.match(lines.join('\n'), /protocol version 9/)
  assert.equal((await send(JSON.stringify({ protocolVersion: 1, nodeId, epoch: 2 }))).status, 426)
  for (const body of [
    '',
    '[]',
    'null',
    '{',
    '{"protocolVersion":1}',
    JSON.stringify({ protocolVersion: 1, nodeId, epoch: 1 }),
  ]) {
    assert.equal((await send(body)).status, 400, body)
  }
  assert.equal((await ask(master, '/cluster/heartbeat')).status, 400)
  assert.equal((await ask(master, '/cluster/heartbeat', { method: 'POST', body: '{}' })).status, 401)
})

test('two processes with one node id, or one address, are not both let in', async () => {
  const master = await startMaster()
  const node = await startNode(master)
  await ask(master, '/vol/grow?count=1')
  const copy = await startNode(master, { nodeId: node.nodeId, admin: node.admin })
  const { json } = await ask(master, '/dir/lookup?volumeId=1')
  assert.deepEqual(
    json.locations.map((each: { url: string }) => each.url),
    [node.url],
  )
  assert.notEqual(copy.url, node.url)
})
