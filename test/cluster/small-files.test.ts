/**
 * A cluster of small files with all its real parts in one process: a master, volume servers on the real engine, and
 * clients that only speak HTTP. Servers leave and return, the master restarts, and loses its memory.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { parseFid } from '../../src/base/fid.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import { ClusterAuth } from '../../src/blobs/cluster-auth.ts'
import { ClusterClient } from '../../src/blobs/cluster-client.ts'
import { HeartbeatSender, loadNodeId } from '../../src/blobs/heartbeat.ts'
import { MasterServer } from '../../src/blobs/master-server.ts'
import { FileMasterState } from '../../src/blobs/master-state.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import { BodyBudget } from '../../src/net/body.ts'
import { HttpClient } from '../../src/net/http-client.ts'
import { freePort } from '../support/free-port.ts'
import { startKit } from '../volume-server/volume-server-kit.ts'

const MIB = 1024 * 1024
const HEARTBEAT_MS = 300

const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-cluster-'))
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

const secret = randomBytes(32)
const newAuth = () => new ClusterAuth({ secret, clock: systemClock, random: systemRandom })

/** Started things stop once: by the test, or after it. */
function once(stop: () => Promise<void>): () => Promise<void> {
  let stopped: Promise<void> | undefined
  return () => {
    stopped ??= stop()
    return stopped
  }
}

async function startMaster(directory: string, port = 0, options: { submitChunkBytes?: number } = {}) {
  const http = new HttpClient()
  const server = new MasterServer({
    nodeId: loadNodeId(realDisk, [directory], systemRandom),
    state: FileMasterState.open({ disk: realDisk, directory, random: systemRandom }),
    auth: newAuth(),
    http,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    bodyBudget: new BodyBudget(new SharedArrayBuffer(4), 64 * MIB),
    heartbeatPeriodMs: HEARTBEAT_MS,
    vacuumPeriodMs: 0,
    version: '0.0.0',
    ...options,
  })
  const address = { host: '127.0.0.1', port: await server.listen({ host: '127.0.0.1', port }) }
  const stop = once(async () => {
    http.close()
    await server.close()
  })
  cleanups.push(stop)
  return { url: `http://127.0.0.1:${address.port}`, port: address.port, stop }
}

interface Node {
  url: string
  directory: string
  /** Says good-bye and stops. */
  leave(): Promise<void>
  /** Stops without a word. */
  vanish(): Promise<void>
}

async function startNode(masterPort: number, directory: string, dataCenter = ''): Promise<Node> {
  const nodeId = loadNodeId(realDisk, [directory], systemRandom)
  const kit = await startKit({ directory, volumeIds: [], clusterAuth: newAuth(), nodeId, sync: 'batch' })
  const http = new HttpClient()
  const url = `127.0.0.1:${kit.port}`
  const sender = new HeartbeatSender({
    masters: [`127.0.0.1:${masterPort}`],
    identity: { nodeId, url, publicUrl: url, dataCenter, rack: '', volumeSizeLimitBytes: 1024 * MIB },
    periodMs: HEARTBEAT_MS,
    client: new ClusterClient({ http, auth: newAuth(), scheme: 'http' }),
    admin: kit.keeper,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  })
  kit.keeper.onChange(() => sender.notify())
  sender.start()
  await sender.flush()
  let goodBye = true
  const stop = once(async () => {
    if (goodBye) await sender.stop()
    else sender.abandon()
    http.close()
    await kit.close()
  })
  cleanups.push(stop)
  return {
    url,
    directory,
    leave: stop,
    vanish: () => {
      goodBye = false
      return stop()
    },
  }
}

async function ask(url: string, init: RequestInit = {}): Promise<Response> {
  return await fetch(url, { signal: AbortSignal.timeout(20_000), ...init })
}

/** Until the reply is as wanted: for what follows from heartbeats that come or do not come. */
async function askUntil(url: string, isWanted: (reply: Response) => boolean): Promise<void> {
  for (let attempt = 0; attempt < 2_000; attempt++) {
    const reply = await ask(url)
    await reply.arrayBuffer()
    if (isWanted(reply)) return
    await systemClock.sleep(20)
  }
  assert.fail(`${url} never became as wanted`)
}

type Stored = Map<string, { url: string; sha256: string }>

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

async function store(master: string, stored: Stored, count: number, query = ''): Promise<void> {
  const lane = async () => {
    while (stored.size < target) {
      const reply = await ask(`${master}/dir/assign${query}`)
      assert.equal(reply.status, 200, await reply.clone().text())
      const { fid, url } = (await reply.json()) as { fid: string; url: string }
      const bytes = randomBytes(systemRandom.below(20_000))
      const form = new FormData()
      form.set('file', new File([bytes], 'photo.bin'))
      const put = await ask(`http://${url}/${fid}`, { method: 'PUT', body: form })
      assert.equal(put.status, 201, await put.clone().text())
      assert.equal(stored.has(fid), false, `${fid} twice`)
      stored.set(fid, { url, sha256: sha256(bytes) })
    }
  }
  const target = stored.size + count
  await Promise.all(Array.from({ length: 8 }, lane))
}

/** Reads each file by the master's redirect, as a browser would. */
async function checkAll(master: string, stored: Stored): Promise<void> {
  for (const [fid, { sha256: wanted }] of stored) {
    const reply = await ask(`${master}/${fid}`)
    assert.equal(reply.status, 200, fid)
    assert.equal(sha256(new Uint8Array(await reply.arrayBuffer())), wanted, fid)
  }
}

test('files survive nodes that leave and return, and masters that restart or start anew', async () => {
  const directory = newDirectory()
  let master = await startMaster(directory, await freePort())
  const [one, two] = [
    await startNode(master.port, newDirectory()),
    await startNode(master.port, newDirectory(), 'dc2'),
  ]
  const stored: Stored = new Map()
  await store(master.url, stored, 60)
  await store(master.url, stored, 10, '?dataCenter=dc2')
  await store(master.url, stored, 10, '?collection=photos&ttl=5y')
  await checkAll(master.url, stored)
  const used = new Set([...stored.values()].map(({ url }) => url))
  assert.deepEqual([...used].sort(), [one.url, two.url].sort())

  // A server falls silent: its files are away, new ones go elsewhere.
  const away = [...stored].filter(([, { url }]) => url === two.url)
  const awayVolume = away[0]![0].split(',')[0]
  await two.vanish()
  await askUntil(`${master.url}/dir/lookup?volumeId=${awayVolume}`, ({ status }) => status === 404)
  const before = stored.size
  await store(master.url, stored, 10)
  assert.ok([...stored.values()].slice(before).every(({ url }) => url === one.url))
  assert.equal((await ask(`${master.url}/dir/assign?dataCenter=dc2`)).status, 400)

  // It returns at another port with the same directory, and a third server joins.
  const three = await startNode(master.port, newDirectory())
  const back = await startNode(master.port, two.directory, 'dc2')
  assert.notEqual(back.url, two.url)
  await checkAll(master.url, stored)
  await store(master.url, stored, 20, `?dataNode=${three.url}`)

  // The master restarts on its port; the servers find it by themselves.
  await master.stop()
  master = await startMaster(directory, master.port)
  await askUntil(`${master.url}/readyz`, ({ status }) => status === 200)
  await checkAll(master.url, stored)
  await store(master.url, stored, 20)

  // A master without memory learns what must not be given again from the servers.
  await master.stop()
  master = await startMaster(newDirectory(), master.port)
  await askUntil(`${master.url}/readyz`, ({ status }) => status === 200)
  await store(master.url, stored, 20)
  await store(master.url, stored, 5, '?collection=new')
  await checkAll(master.url, stored)
  const keys = [...stored.keys()].map((fid) => parseFid(fid).keyLow)
  assert.equal(new Set(keys).size, keys.length, 'no key twice')
  await three.leave()
  assert.equal((await ask(`${master.url}/dir/assign?dataNode=${three.url}`)).status, 400)
})

test('delete, vacuum, collections and submit go through to the servers', async () => {
  const master = await startMaster(newDirectory())
  await startNode(master.port, newDirectory())
  const stored: Stored = new Map()
  await store(master.url, stored, 30, '?collection=temporary')
  const [first, ...rest] = [...stored]
  for (const [fid, { url }] of rest) {
    const reply = await ask(`http://${url}/${fid}`, { method: 'DELETE' })
    assert.equal(reply.status, 202)
    stored.delete(fid)
  }
  const vacuumed = await ask(`${master.url}/vol/vacuum?garbageThreshold=0.01`)
  assert.equal(vacuumed.status, 200)
  await checkAll(master.url, stored)
  const [fid, { url }] = first!
  const status = (await (await ask(`http://${url}/status`)).json()) as { Volumes: Record<string, number>[] }
  const volume = status.Volumes.find((each) => each.Id === parseFid(fid).volumeId)
  assert.ok((volume?.CompactRevision ?? 0) >= 1)
  assert.equal(volume?.DeletedByteCount, 0)

  const form = new FormData()
  form.set('file', new File(['hello world'], 'h.txt', { type: 'text/plain' }))
  const submitted = await ask(`${master.url}/submit`, { method: 'POST', body: form })
  assert.equal(submitted.status, 201)
  const result = (await submitted.json()) as { fid: string; fileUrl: string; size: number; eTag: string }
  assert.equal(result.eTag, 'c99465aa')
  assert.equal(result.size, 11)
  assert.equal(await (await ask(`http://${result.fileUrl}`)).text(), 'hello world')
  assert.equal(await (await ask(`${master.url}/${result.fid}`)).text(), 'hello world')

  assert.equal((await ask(`${master.url}/col/delete?collection=temporary`)).status, 204)
  assert.equal((await ask(`${master.url}/${fid}`, { redirect: 'manual' })).status, 404)
  assert.equal((await ask(`http://${url}/${fid}`)).status, 404)
  assert.equal(await (await ask(`${master.url}/${result.fid}`)).text(), 'hello world')
})

test('submit cuts a large file into chunks while it comes, and keeps none of them when it fails', async () => {
  const master = await startMaster(newDirectory(), 0, { submitChunkBytes: MIB })
  const node = await startNode(master.port, newDirectory())
  const content = randomBytes(4 * MIB + 4_321)
  const submit = async (form: FormData, headers: Record<string, string> = {}) =>
    await ask(`${master.url}/submit`, { method: 'POST', body: form, headers })
  const formOf = () => {
    const form = new FormData()
    form.set('file', new File([content], 'großes "x".bin', { type: 'video/mp4' }))
    return form
  }
  const md5 = createHash('md5').update(content).digest('base64')
  const submitted = await submit(formOf(), { 'content-md5': md5, 'Seaweed-Owner': 'bob' })
  assert.equal(submitted.status, 201, await submitted.clone().text())
  const { fid, size, fileName } = (await submitted.json()) as { fid: string; size: number; fileName: string }
  assert.deepEqual([size, fileName.startsWith('gro')], [content.length, true])
  const whole = await ask(`${master.url}/${fid}`)
  assert.deepEqual(Buffer.from(await whole.arrayBuffer()), content)
  assert.deepEqual([whole.headers.get('content-type'), whole.headers.get('owner')], ['video/mp4', 'bob'])
  const manifest = (await (await ask(`http://${node.url}/${fid}?cm=false`)).json()) as {
    chunks: { fid: string }[]
  }
  assert.equal(manifest.chunks.length, 5)
  const files = async () => {
    const { Volumes } = (await (await ask(`http://${node.url}/status`)).json()) as {
      Volumes: { FileCount: number; DeleteCount: number }[]
    }
    return Volumes.reduce((sum, { FileCount, DeleteCount }) => sum + FileCount - DeleteCount, 0)
  }
  const before = await files()
  assert.equal((await submit(formOf(), { 'content-md5': `${md5.slice(0, -4)}AA==` })).status, 400)
  const two = formOf()
  two.set('other', new File([content], 'behind'))
  assert.equal((await submit(two)).status, 400)
  assert.equal(await files(), before)
  const fields = new FormData()
  fields.set('first', 'a field before the file')
  fields.set('file', new File([content], 'x'))
  fields.set('last', 'a field behind the file')
  const between = (await (await submit(fields)).json()) as { fid: string; size: number }
  assert.equal(between.size, content.length)
  assert.equal((await ask(`http://${node.url}/${between.fid}`, { method: 'DELETE' })).status, 202)
  assert.equal(await files(), before)
  assert.equal((await ask(`http://${node.url}/${fid}`, { method: 'DELETE' })).status, 202)
  assert.equal(await files(), before - 6)
})
