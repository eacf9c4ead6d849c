/**
 * Servers of a store that asks for passwords and tokens speak to each other by the cluster's secret; and a message of the
 * cluster counts once, whichever of a server's threads it comes to.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { ClusterAuth } from '../../src/blobs/cluster-auth.ts'
import { ClusterClient } from '../../src/blobs/cluster-client.ts'
import type { ClusterOverview } from '../../src/blobs/cluster-overview.ts'
import { EPOCH, PROTOCOL_VERSION } from '../../src/blobs/cluster-wire.ts'
import { HttpClient } from '../../src/net/http-client.ts'
import { runCairn } from '../support/cairn-process.ts'
import { freePort, type RoleProcess, startRole } from '../support/cluster-processes.ts'
import { ask } from '../volume-server/volume-server-kit.ts'

const SECRET = 'the secret of this test and no other'
const TEST_ID = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee'
const PASSWORD = { Authorization: `Basic ${Buffer.from('ada:lovelace').toString('base64')}` }

describe('a store with passwords and tokens', () => {
  const root = mkdtempSync(join(tmpdir(), 'cairn-credentials-'))
  const [secretFile, passwordFile] = [join(root, 'secret'), join(root, 'passwords')]
  const http = new HttpClient()
  const auth = new ClusterAuth({ secret: Buffer.from(SECRET), clock: systemClock, random: systemRandom })
  const client = new ClusterClient({ http, auth, scheme: 'http' })
  const processes: RoleProcess[] = []
  let master = ''
  let nodes: ClusterOverview['nodes'] = []

  before(async () => {
    writeFileSync(secretFile, SECRET)
    writeFileSync(passwordFile, 'ada:lovelace\n')
    const guards = ['--basic-auth-file', passwordFile, '--jwt-signing-key', 'w', '--jwt-read-key', 'r']
    const common = [...guards, '--cluster-secret-file', secretFile]
    const started = await startRole('master', await freePort(), ['--data', join(root, 'm'), ...common])
    processes.push(started)
    master = started.address
    for (const name of ['one', 'two']) {
      const flags = ['--dir', join(root, name), '--master', master, '--workers', '4', '--ballast', '0']
      processes.push(await startRole('volume', await freePort(), [...flags, ...common]))
    }
    nodes = (await overview()).nodes
    assert.equal(nodes.length, 2)
  })

  after(async () => {
    http.close()
    for (const each of processes) await each.kill()
    rmSync(root, { recursive: true, force: true })
  })

  const envelope = { protocolVersion: PROTOCOL_VERSION, nodeId: TEST_ID, epoch: EPOCH }

  async function overview(): Promise<ClusterOverview> {
    const path = '/cluster/admin/status'
    return (await client.postForJson({
      hostPort: master,
      path,
      message: envelope,
      timeoutMs: 10_000,
    })) as ClusterOverview
  }

  /** As a client: an id of a volume on that server, with the token to write it. */
  async function store(node: string, bytes: Buffer, query = ''): Promise<string> {
    const assigned = await fetch(`http://${master}/dir/assign?dataNode=${node}`, { headers: PASSWORD })
    assert.equal(assigned.status, 200, await assigned.clone().text())
    const { fid, url } = (await assigned.json()) as { fid: string; url: string }
    assert.equal(url, node)
    const token = assigned.headers.get('authorization')!.replace('Bearer ', '')
    const target = `http://${url}/${fid}?jwt=${token}${query}`
    const put = await fetch(target, { method: 'PUT', headers: PASSWORD, body: new Uint8Array(bytes) })
    assert.equal(put.status, 201, await put.clone().text())
    return fid
  }

  async function readToken(fid: string): Promise<string> {
    const reply = await fetch(`http://${master}/dir/lookup?fileId=${fid}&read=yes`, { headers: PASSWORD })
    return reply.headers.get('authorization')!.replace('Bearer ', '')
  }

  test('chunks on another server, and files that live there, are read', async () => {
    const [one, two] = [nodes[0]!.url, nodes[1]!.url]
    const parts = [randomBytes(70_000), randomBytes(50_000)]
    const [here, there] = [await store(one, parts[0]!), await store(two, parts[1]!)]
    const manifest = {
      name: 'whole.bin',
      mime: 'application/octet-stream',
      size: 120_000,
      chunks: [
        { fid: here, offset: 0, size: 70_000 },
        { fid: there, offset: 70_000, size: 50_000 },
      ],
    }
    const fid = await store(one, Buffer.from(JSON.stringify(manifest)), '&cm=true')
    const jwt = await readToken(fid)
    for (const node of [one, two]) {
      const reply = await fetch(`http://${node}/${fid}?jwt=${jwt}`, { headers: PASSWORD })
      assert.equal(reply.status, 200, node)
      assert.ok(Buffer.from(await reply.arrayBuffer()).equals(Buffer.concat(parts)), node)
      assert.equal((await fetch(`http://${node}/${fid}`, { headers: PASSWORD })).status, 401)
      assert.equal((await fetch(`http://${node}/${fid}?jwt=${jwt}`)).status, 401)
    }
  })

  test('a message counts once, whichever thread it comes to', async () => {
    const node = nodes[0]!
    const [port, path] = [Number(node.url.split(':')[1]), '/admin/volume/readonly']
    const id = (await overview()).volumes.find((volume) => volume.node === node.url)!.id
    const message = { ...envelope, toNodeId: node.nodeId, id, readOnly: true }
    const body = Buffer.from(JSON.stringify(message))
    const headers = { Authorization: auth.sign({ method: 'POST', path, body }) }
    // Each over a connection of its own, so that they spread over the threads.
    const replies = await Promise.all(
      Array.from({ length: 24 }, () => ask(port, { method: 'POST', path, headers, body })),
    )
    const statuses = replies.map(({ status }) => status).sort()
    assert.deepEqual(statuses, [200, ...Array.from({ length: 23 }, () => 401)])
    await client.post({
      hostPort: node.url,
      path,
      message: { ...message, readOnly: false },
      timeoutMs: 10_000,
    })
  })

  test('the commands for administrators need the secret, not a password', async () => {
    const flags = ['--server', master, '--cluster-secret-file', secretFile]
    const status = await runCairn(['status', ...flags])
    assert.equal(status.code, 0, status.stderr)
    for (const { url } of nodes) assert.ok(status.stdout.includes(url))
    const { volumes } = await overview()
    const volume = volumes.find((each) => each.fileCount > 0)!
    const id = String(volume.id)
    const other = nodes.find(({ url }) => url !== volume.node)!.url
    const kept = await runCairn(['volume', 'delete', ...flags, id])
    assert.equal(kept.code, 1)
    assert.match(kept.stderr, /holds \d+ files: --force deletes them \(conflict\)/)
    const moved = await runCairn(['volume', 'move', ...flags, '--to', other, id])
    assert.equal(moved.code, 0, moved.stderr)
    assert.match(
      moved.stdout,
      new RegExp(`^volume ${id}: from ${volume.node} to ${other}, .* copied and verified\n$`),
    )
    const closed = await runCairn(['volume', 'readonly', ...flags, '--json', id])
    assert.deepEqual(JSON.parse(closed.stdout), { volume: volume.id, node: other, state: 'read only' })
    const listed = await runCairn(['volume', 'list', ...flags, id])
    assert.match(listed.stdout, /read only/)
    assert.equal((await runCairn(['volume', 'writable', ...flags, id])).code, 0)
    const vacuumed = await runCairn(['volume', 'vacuum', ...flags, '--garbage-threshold', '0.5'])
    assert.equal(vacuumed.code, 0, vacuumed.stderr)
    assert.match(vacuumed.stdout, /left as it is, 0\.0 % was garbage/)
    const deleted = await runCairn(['volume', 'delete', ...flags, '--force', id])
    assert.equal(deleted.code, 0, deleted.stderr)
    assert.ok(!(await overview()).volumes.some((each) => each.id === volume.id))
    const secret = ['--cluster-secret', 'another secret of that length']
    const stranger = await runCairn(['status', '--server', master, ...secret])
    assert.equal(stranger.code, 1)
    assert.match(stranger.stderr, /wrong cluster secret/)
    const none = await runCairn(['volume', 'move', ...flags, id])
    assert.equal(none.code, 2)
  })
})
