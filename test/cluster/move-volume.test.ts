/**
 * Volumes that move between real servers, which are killed at every step of it: afterwards there is always a whole copy,
 * never two that take writes, and the same move asked for again ends well.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { ClusterAuth } from '../../src/blobs/cluster-auth.ts'
import { ClusterClient } from '../../src/blobs/cluster-client.ts'
import type { ClusterOverview, VolumeOverview } from '../../src/blobs/cluster-overview.ts'
import { EPOCH, PROTOCOL_VERSION } from '../../src/blobs/cluster-wire.ts'
import { VolumeCalls } from '../../src/blobs/master/volume-calls.ts'
import { HttpClient } from '../../src/net/http-client.ts'
import { freePort, type RoleProcess, startRole } from '../support/cluster-processes.ts'

const SECRET = 'the secret of this test and no other'
const TEST_ID = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee'
const FILES = 200

interface Server {
  port: number
  directory: string
  url: string
  nodeId: string
  process: RoleProcess
}

const root = mkdtempSync(join(tmpdir(), 'cairn-move-'))
const secretFile = join(root, 'secret')
const http = new HttpClient()
const auth = new ClusterAuth({ secret: Buffer.from(SECRET), clock: systemClock, random: systemRandom })
const client = new ClusterClient({ http, auth, scheme: 'http' })
/** The test speaks to volume servers as a master would, to stop between two steps. */
const calls = new VolumeCalls(client, TEST_ID)
const stored = new Map<string, string>()
let master: { port: number; process: RoleProcess }
let [one, two]: Server[] = []

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

function startMaster(port: number): Promise<RoleProcess> {
  return startRole('master', port, ['--data', join(root, 'master'), '--cluster-secret-file', secretFile])
}

function startVolume(port: number, directory: string): Promise<RoleProcess> {
  const flags = [
    '--dir',
    directory,
    '--master',
    `127.0.0.1:${master.port}`,
    '--workers',
    '2',
    '--ballast',
    '0',
  ]
  return startRole('volume', port, [...flags, '--cluster-secret-file', secretFile])
}

async function newVolumeServer(name: string): Promise<Server> {
  const [port, directory] = [await freePort(), join(root, name)]
  const url = `127.0.0.1:${port}`
  const process = await startVolume(port, directory)
  const { nodes } = await until(
    () => overview(),
    ({ nodes }) => nodes.some((node) => node.url === url),
  )
  return { port, directory, url, nodeId: nodes.find((node) => node.url === url)!.nodeId, process }
}

async function killAndRestart(...servers: Server[]): Promise<void> {
  await Promise.all(servers.map((server) => server.process.kill()))
  for (const server of servers) server.process = await startVolume(server.port, server.directory)
}

function admin(name: string, request: object): Promise<unknown> {
  const message = { protocolVersion: PROTOCOL_VERSION, nodeId: TEST_ID, epoch: EPOCH, ...request }
  const hostPort = `127.0.0.1:${master.port}`
  return client.postForJson({ hostPort, path: `/cluster/admin/${name}`, message, timeoutMs: 20_000 })
}

async function overview(): Promise<ClusterOverview> {
  return (await admin('status', {})) as ClusterOverview
}

async function until<T>(ask: () => Promise<T>, isWanted: (value: T) => boolean): Promise<T> {
  for (let attempt = 0; attempt < 2_000; attempt++) {
    const value = await ask()
    if (isWanted(value)) return value
    await systemClock.sleep(25)
  }
  assert.fail('it never became as wanted')
}

/** Volume 1 as the master knows it, once both servers have reported. */
async function copies(isWanted: (copies: VolumeOverview[]) => boolean): Promise<VolumeOverview[]> {
  const of = ({ volumes }: ClusterOverview) => volumes.filter(({ id }) => id === 1)
  return of(
    await until(
      overview,
      (now) => now.nodes.length === 2 && now.unknowing === undefined && isWanted(of(now)),
    ),
  )
}

/** Whether a server takes a write to the volume, asked of itself. */
async function takesWrites(server: Server): Promise<boolean> {
  const fid = `1,ff${randomBytes(6).toString('hex')}`
  const reply = await fetch(`http://${server.url}/${fid}`, { method: 'PUT', body: 'x' })
  assert.ok([201, 404, 409].includes(reply.status), `${reply.status} ${await reply.text()}`)
  if (reply.status === 201) await fetch(`http://${server.url}/${fid}`, { method: 'DELETE' })
  return reply.status === 201
}

async function assertAllReadable(...servers: Server[]): Promise<void> {
  for (const { url } of servers) {
    for (const [fid, hash] of stored) {
      const reply = await fetch(`http://${url}/${fid}`)
      assert.equal(reply.status, 200, `${fid} on ${url}`)
      assert.equal(sha256(new Uint8Array(await reply.arrayBuffer())), hash, fid)
    }
  }
}

async function assertMoved(from: Server, to: Server): Promise<void> {
  await copies((now) => now.length === 1 && now[0]!.node === to.url && now[0]!.state === 'writable')
  assert.deepEqual(
    readdirSync(from.directory).filter((name) => name.startsWith('1.')),
    [],
  )
  assert.deepEqual([await takesWrites(to), await takesWrites(from)], [true, false])
  await assertAllReadable(to)
}

/** Which of the servers has the volume now, and which has not. */
async function places(): Promise<{ from: Server; to: Server }> {
  const [copy] = await copies((now) => now.length === 1 && now[0]!.state === 'writable')
  return copy!.node === one!.url ? { from: one!, to: two! } : { from: two!, to: one! }
}

async function moveAgain(from: Server, to: Server): Promise<void> {
  await until(overview, ({ nodes, unknowing }) => nodes.length === 2 && unknowing === undefined)
  await admin('move', { id: 1, to: to.url })
  await assertMoved(from, to)
}

describe('moves', () => {
  before(async () => {
    writeFileSync(secretFile, SECRET)
    const port = await freePort()
    master = { port, process: await startMaster(port) }
    one = await newVolumeServer('one')
    await until(
      () => fetch(`http://127.0.0.1:${port}/vol/grow?count=1`),
      ({ ok }) => ok,
    )
    two = await newVolumeServer('two')
    for (let i = 0; i < FILES; i++) {
      const fid = `1,${(i + 1).toString(16).padStart(4, '0')}${randomBytes(4).toString('hex')}`
      const bytes = randomBytes(systemRandom.below(i % 50 === 0 ? 3_000_000 : 20_000))
      const reply = await fetch(`http://${one.url}/${fid}`, { method: 'PUT', body: bytes })
      assert.equal(reply.status, 201)
      if (i % 5 === 0) await fetch(`http://${one.url}/${fid}`, { method: 'DELETE' })
      else stored.set(fid, sha256(bytes))
    }
  })

  after(async () => {
    http.close()
    for (const server of [one, two]) await server?.process.kill()
    await master?.process.kill()
    rmSync(root, { recursive: true, force: true })
  })

  test('there and back, read through either server all the while', async () => {
    const { from, to } = await places()
    let [done, reads] = [false, 0]
    const reader = (async () => {
      while (!done || reads < 50) {
        for (const server of [from, to]) {
          const [fid, hash] = [...stored][reads++ % stored.size]!
          const reply = await fetch(`http://${server.url}/${fid}`)
          assert.equal(reply.status, 200, `${fid} on ${server.url}`)
          assert.equal(sha256(new Uint8Array(await reply.arrayBuffer())), hash)
        }
      }
    })()
    await admin('move', { id: 1, to: to.url })
    await admin('move', { id: 1, to: from.url })
    done = true
    await reader
    await assertMoved(to, from)
  })

  test('killed while it is held: the source stays closed, and has the volume', async () => {
    const { from, to } = await places()
    await calls.hold(from, 1)
    await killAndRestart(from)
    assert.equal(await takesWrites(from), false)
    await copies((now) => now.length === 1 && now[0]!.state === 'moving')
    await moveAgain(from, to)
  })

  test('target killed when the files are there but not adopted: nothing is left of them', async () => {
    const { from, to } = await places()
    await calls.hold(from, 1)
    await calls.fetch(to, 1, from)
    assert.ok(readdirSync(to.directory).includes('1.dat.arriving'))
    await killAndRestart(to)
    assert.deepEqual(
      readdirSync(to.directory).filter((name) => name.startsWith('1.')),
      [],
    )
    await assertAllReadable(from)
    await moveAgain(from, to)
  })

  test('both killed when both have it: neither takes writes, and the move goes on', async () => {
    const { from, to } = await places()
    await calls.hold(from, 1)
    await calls.fetch(to, 1, from)
    await calls.adopt(to, 1)
    await killAndRestart(from, to)
    assert.deepEqual([await takesWrites(from), await takesWrites(to)], [false, false])
    await assertAllReadable(from, to)
    await copies((now) => now.length === 2 && now.every(({ state }) => state === 'moving'))
    await assert.rejects(admin('readonly', { id: 1, node: to.url, readOnly: false }), { code: 'conflict' })
    await moveAgain(from, to)
  })

  test('killed when only the target has it: still closed, and the same move opens it', async () => {
    const { from, to } = await places()
    const held = await calls.hold(from, 1)
    await calls.fetch(to, 1, from)
    await calls.adopt(to, 1)
    await calls.handOver(from, held)
    await killAndRestart(from, to)
    assert.deepEqual([await takesWrites(from), await takesWrites(to)], [false, false])
    await moveAgain(from, to)
  })

  test('a master killed in the middle: asked again, the next one finishes', async () => {
    const { from, to } = await places()
    const cutOff = assert.rejects(admin('move', { id: 1, to: to.url }))
    await until(overview, ({ volumes }) =>
      volumes.some(({ id, state }) => id === 1 && state === 'moving'),
    ).catch(() => undefined)
    await master.process.kill()
    await cutOff
    master.process = await startMaster(master.port)
    await until(overview, ({ nodes, unknowing }) => nodes.length === 2 && unknowing === undefined)
    const writers = [await takesWrites(from), await takesWrites(to)].filter((each) => each)
    assert.ok(writers.length <= 1)
    await moveAgain(from, to)
  })

  test('a read-only volume is read only where it arrives, also after a restart', async () => {
    const { from, to } = await places()
    await admin('readonly', { id: 1, node: '', readOnly: true })
    await admin('move', { id: 1, to: to.url })
    await copies((now) => now.length === 1 && now[0]!.node === to.url && now[0]!.state === 'read only')
    await killAndRestart(to)
    assert.equal(await takesWrites(to), false)
    await copies((now) => now.length === 1 && now[0]!.state === 'read only')
    await admin('readonly', { id: 1, node: '', readOnly: false })
    await assertMoved(from, to)
  })

  test('a target that cannot be reached: the source takes writes again or says why not', async () => {
    const { from, to } = await places()
    await assert.rejects(admin('move', { id: 1, to: '127.0.0.1:1' }), { code: 'bad_request' })
    await assert.rejects(admin('move', { id: 1, to: from.url }), { code: 'conflict' })
    await assert.rejects(admin('move', { id: 4711, to: to.url }), { code: 'volume_not_found' })
    // Killed, but the master has not noticed yet.
    await to.process.kill()
    const failure = await admin('move', { id: 1, to: to.url }).then(
      () => undefined,
      (error: Error) => error,
    )
    to.process = await startVolume(to.port, to.directory)
    if (failure?.message.includes('stays read only')) {
      assert.equal(await takesWrites(from), false)
      await until(overview, ({ nodes }) => nodes.length === 2)
      await admin('readonly', { id: 1, node: '', readOnly: false })
    }
    assert.equal(await takesWrites(from), true)
    await assertAllReadable(from)
  })
})
