/** Two servers of objects with versions on one cluster: shards in six directories, names in PostgreSQL. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { freePort, type RoleProcess, startRole } from '../support/cluster-processes.ts'
import { noPostgres, PostgresServer } from '../support/postgres.ts'
import { digest, hash } from './door-kit.ts'

const TEXT = 'this object will be seperated to 4+2'

describe('two servers', { skip: noPostgres }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-objects-servers-'))
  const disks = [1, 2, 3, 4, 5, 6].map((number) => join(directory, `${number}`))
  const cleanups: (() => unknown)[] = [() => rmSync(directory, { recursive: true, force: true })]
  let servers: RoleProcess[]
  let volume: RoleProcess

  before(async () => {
    for (const disk of disks) mkdirSync(disk)
    const postgres = await PostgresServer.start()
    cleanups.push(() => postgres.end())
    const metadata = await postgres.createDatabase('names')
    const secret = ['--cluster-secret', 'a secret of this test run only']
    const master = await startRole('master', await freePort(), ['--data', join(directory, 'm'), ...secret])
    cleanups.push(() => master.kill())
    const cluster = ['--master', master.address, ...secret]
    const own = ['--dir', disks.join(), '--ballast', '0', '--workers', '2']
    volume = await startRole('volume', await freePort(), [...own, ...cluster])
    cleanups.push(() => volume.kill())
    const key = ['--root-access-key', 'test-root', '--root-secret-key', 'test-secret']
    const flags = [...cluster, ...key, '--metadata', metadata, '--workers', '2']
    const ports = [await freePort(), await freePort()]
    servers = await Promise.all(ports.map((port) => startRole('objects', port, flags)))
    for (const server of servers) cleanups.push(() => server.kill())
  })

  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup()
  })

  const url = (server: number, target: string) => `http://${servers[server]!.address}${target}`
  const get = async (server: number, target: string): Promise<[number, string]> => {
    const reply = await fetch(url(server, target))
    return [reply.status, await reply.text()]
  }

  /** Makes records of so many shards unreadable. */
  function damage(shards: number): void {
    for (const disk of disks.slice(0, shards))
      for (const name of readdirSync(disk).filter((each) => /^_objects_.*\.dat$/.test(each))) {
        const bytes = readFileSync(join(disk, name))
        for (let at = 40; at < bytes.length; at++) bytes[at]! ^= 0xff
        writeFileSync(join(disk, name), bytes)
      }
  }

  test('have the same objects, and go on with the uploads of each other', async () => {
    const put = { method: 'PUT', headers: { digest: digest(TEXT) }, body: TEXT }
    assert.equal((await fetch(url(0, '/objects/test5'), put)).status, 200)
    assert.deepEqual(await get(1, '/objects/test5'), [200, TEXT])
    const bytes = randomBytes(100_000)
    const headers = { digest: digest(bytes), size: String(bytes.length) }
    const begun = await fetch(url(0, '/objects/steps'), { method: 'POST', headers })
    const location = begun.headers.get('location')!
    for (const [server, first, end] of [
      [0, 0, 40_000],
      [1, 40_000, 100_000],
    ] as const) {
      const range = { range: `bytes=${first}-` }
      const body = new Uint8Array(bytes.subarray(first, end))
      assert.equal((await fetch(url(server, location), { method: 'PUT', headers: range, body })).status, 200)
    }
    const found = await fetch(url(0, '/objects/steps'))
    assert.ok(Buffer.from(await found.arrayBuffer()).equals(bytes))
  })

  test('locate shards by their index; two may be lost, three not', async () => {
    const target = `/locate/${encodeURIComponent(hash(TEXT))}`
    const [code, places] = await get(0, target)
    assert.equal(code, 200)
    assert.deepEqual(JSON.parse(places), { ...Array.from({ length: 6 }, () => volume.address) })
    damage(2)
    assert.deepEqual(await get(0, '/objects/test5'), [200, TEXT])
    damage(6)
    const [status, reason] = await get(1, '/objects/test5')
    assert.equal(status, 404)
    assert.match(JSON.parse(reason).error, /bytes cannot be read: .*shard/)
    assert.equal((await get(1, target))[0], 404)
  })

  test('what is lost comes back for all who have it, when the same bytes come again', async () => {
    const put = { method: 'PUT', headers: { digest: digest(TEXT) }, body: TEXT }
    assert.equal((await fetch(url(0, '/objects/again'), put)).status, 200)
    for (const name of ['again', 'test5', encodeURIComponent(hash(TEXT))])
      assert.deepEqual(await get(1, `/objects/${name}`), [200, TEXT])
    const large = randomBytes(17_000_000)
    const headers = { digest: digest(large), size: String(large.length) }
    const begin = (name: string) => fetch(url(0, `/objects/${name}`), { method: 'POST', headers })
    const upload = async (name: string) => {
      const begun = await begin(name)
      assert.equal(begun.status, 201)
      const reply = await fetch(url(1, begun.headers.get('location')!), {
        method: 'PUT',
        body: new Uint8Array(large),
      })
      assert.equal(reply.status, 200)
    }
    await upload('large')
    assert.equal((await begin('known')).status, 200)
    damage(6)
    await upload('more')
    assert.equal((await begin('known')).status, 200)
    for (const name of ['more', 'known', encodeURIComponent(hash(large))]) {
      const found = await fetch(url(0, `/objects/${name}`))
      assert.ok(Buffer.from(await found.arrayBuffer()).equals(large), name)
    }
  })

  test('say so when no volume server is there', async () => {
    await volume.kill()
    const put = { method: 'PUT', headers: { digest: digest('x') }, body: 'x' }
    assert.equal((await fetch(url(0, '/objects/new'), put)).status, 503)
    assert.equal((await get(0, '/objects/more'))[0], 404)
    assert.match((await get(0, '/versions/test5'))[1], /"version":1/)
  })
})
