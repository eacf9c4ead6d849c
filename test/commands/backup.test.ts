/** `cairn backup`, `restore` and `fsck` against the data of real servers. */
import assert from 'node:assert/strict'
import {
  closeSync,
  existsSync,
  globSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, describe, test } from 'node:test'
import type { Damage, DamagedOwner, StoreCheck } from '../../src/objects/check-store.ts'
import { S3Door } from '../names-faults/s3-door.ts'
import { runCairn, type ServerProcess, startServer } from '../support/cairn-process.ts'
import { dataOf, MIB } from '../support/needles.ts'
import { noPostgres, PostgresServer } from '../support/postgres.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-backup-'))
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

async function start(data: string, flags: string[] = []): Promise<ServerProcess> {
  const server = await startServer(data, flags)
  cleanups.push(() => server.kill())
  return server
}

const contentOf = (number: number) => dataOf(number, number * 300)

async function put(server: ServerProcess, path: string, body: Buffer): Promise<void> {
  const reply = await fetch(`http://${server.filer}${path}`, { method: 'PUT', body: new Uint8Array(body) })
  assert.equal(reply.status, 201, path)
}

async function assertFiles(server: ServerProcess, numbers: Iterable<number>): Promise<void> {
  for (const number of numbers) {
    const reply = await fetch(`http://${server.filer}/f/${number}`)
    assert.equal(reply.status, 200, `/f/${number}`)
    assert.deepEqual(Buffer.from(await reply.arrayBuffer()), contentOf(number), `/f/${number}`)
  }
}

async function fsck(
  data: string,
  ...flags: string[]
): Promise<{ code: number | null; check: StoreCheck; text: string }> {
  const { code, stdout, stderr } = await runCairn(['fsck', '--data', data, '--json', ...flags])
  assert.match(stdout, /^\{.*\}\n$/, stderr)
  return { code, check: JSON.parse(stdout) as StoreCheck, text: stdout }
}

const upTo = (count: number) => Array.from({ length: count }, (_, number) => number)

/** Files 0 to 39, and a backup made while more of them come; then it is stopped. */
async function backedUp(): Promise<{ data: string; file: string }> {
  const data = newDirectory()
  const file = join(data, 'names.backup')
  const server = await start(data)
  for (const number of upTo(40)) await put(server, `/f/${number}`, contentOf(number))
  let isOver = false
  const more = (async () => {
    for (let number = 40; !isOver; number++) await put(server, `/f/${number}`, contentOf(number))
  })()
  const { code, stdout, stderr } = await runCairn(['backup', '--data', data, file])
  isOver = true
  await more
  assert.equal(code, 0, stderr)
  assert.match(
    stdout,
    /: \d+ bytes\nnot in it: (\/.*\/encryption\.keys)\. Encrypted objects cannot be read without it/,
  )
  assert.ok(stdout.includes(join(data, 'encryption.keys')))
  assert.equal(statSync(file).mode & 0o777, 0o600)
  await server.stop()
  return { data, file }
}

test('a backup of a running server is restored beside its volumes; what is no whole backup is refused', async () => {
  const { data, file } = await backedUp()
  const there = await runCairn(['restore', '--data', data, file])
  assert.equal(there.code, 1)
  assert.match(there.stderr, /conflict|there are|rows|not empty/)
  const metadata = ['--metadata', join(data, 'restored')]
  const noKeys = ['--encryption-keys', join(data, 'elsewhere.keys')]
  const { code, stdout, stderr } = await runCairn(['restore', '--data', data, ...metadata, ...noKeys, file])
  assert.equal(code, 0, stderr)
  assert.match(
    stdout,
    /^\d+ rows, as they were at 2.*\n\/.*\/elsewhere\.keys is not there: if objects are encrypted/,
  )
  const { check } = await fsck(data, ...metadata)
  assert.deepEqual([check.missingCount, check.corruptCount, check.wrongReferencesCount], [0, 0, 0])
  const server = await start(data, metadata)
  await assertFiles(server, upTo(40))
  await put(server, '/f/0', contentOf(1))
  await server.stop()
  const bytes = readFileSync(file)
  const broken = join(data, 'broken')
  const flipped = Buffer.from(bytes)
  flipped[bytes.length >> 1]! ^= 1
  const other = ['--metadata', join(data, 'other')]
  for (const content of [bytes.subarray(0, bytes.length - 10), flipped, Buffer.from('no backup')]) {
    writeFileSync(broken, content)
    const { code, stderr } = await runCairn(['restore', '--data', data, ...other, broken])
    assert.equal(code, 1)
    assert.match(stderr, /^cairn: /)
    await assert.rejects(start(data, other), /cairn: .*(restore|backup|metadata)/)
    rmSync(join(data, 'other'), { recursive: true, force: true })
  }
  assert.equal((await runCairn(['restore', '--data', data, join(data, 'absent')])).code, 2)
  const unwritable = await runCairn(['backup', '--data', data, join(data, 'absent', 'file')])
  assert.equal(unwritable.code, 1)
  const nothing = await runCairn(['backup', '--data', join(data, 'nothing'), join(data, 'b')])
  assert.equal(nothing.code, 1)
  assert.equal(existsSync(join(data, 'b')), false)
  assert.equal((await runCairn(['fsck', '--data', join(data, 'nothing')])).code, 1)
  assert.equal(existsSync(join(data, 'nothing')), false)
})

describe('into PostgreSQL', { skip: noPostgres }, () => {
  test('a backup of SQLite is restored there, and one of that in SQLite', async () => {
    const { data, file } = await backedUp()
    const postgres = await PostgresServer.start()
    cleanups.push(() => postgres.end())
    const metadata = ['--metadata', await postgres.createDatabase('names')]
    const restored = await runCairn(['restore', '--data', data, ...metadata, file])
    assert.equal(restored.code, 0, restored.stderr)
    let server = await start(data, metadata)
    await assertFiles(server, upTo(40))
    await put(server, '/f/100', contentOf(100))
    const back = join(data, 'back.backup')
    const again = await runCairn(['backup', '--data', data, ...metadata, back])
    assert.equal(again.code, 0, again.stderr)
    await server.stop()
    const sqlite = ['--metadata', join(data, 'sqlite')]
    const third = await runCairn(['restore', '--data', data, ...sqlite, back])
    assert.equal(third.code, 0, third.stderr)
    server = await start(data, sqlite)
    await assertFiles(server, [...upTo(40), 100])
    await server.stop()
  })
})

/** Where the bytes are in a volume's file. */
function find(data: string, bytes: Buffer): { file: string; at: number } {
  for (const file of globSync(`${data}/**/_objects_*.dat`)) {
    const at = readFileSync(file).indexOf(bytes)
    if (at >= 0) return { file, at }
  }
  throw new Error('the bytes are in no volume')
}

function flipByte({ file, at }: { file: string; at: number }): void {
  const handle = openSync(file, 'r+')
  const byte = Buffer.alloc(1)
  readSync(handle, byte, 0, 1, at)
  byte[0]! ^= 0x10
  writeSync(handle, byte, 0, 1, at)
  closeSync(handle)
}

test('fsck tells what is missing, damaged, orphaned and counted wrong, and --repair mends what can be', {
  timeout: 280_000,
}, async () => {
  const data = newDirectory()
  let server = await start(data)
  const contents = new Map(['whole', 'missing', 'damaged'].map((name, at) => [name, dataOf(at + 1, 3000)]))
  for (const [name, bytes] of contents) await put(server, `/f/${name}`, bytes)
  // Two that share a content.
  await put(server, '/f/large', dataOf(9, 5 * MIB))
  const copy = await fetch(`http://${server.filer}/f/copy?cp.from=/f/large`, { method: 'POST' })
  assert.ok(copy.ok)
  const s3 = new S3Door(server)
  await s3.must(s3.client.put('/bucket'))
  await s3.must(s3.client.put('/bucket/key', 'of S3'))
  const assign = await fetch(`http://${server.master}/dir/assign?collection=_objects`)
  const { fid: orphan } = (await assign.json()) as { fid: string }
  const body = new Uint8Array(dataOf(77, 1234))
  assert.equal((await fetch(`http://${server.volume}/${orphan}`, { method: 'PUT', body })).status, 201)
  const running = await runCairn(['fsck', '--data', data])
  assert.equal(running.code, 1)
  assert.match(running.stderr, /in_use|in use|another|running/)
  await server.stop()

  const first = await fsck(data)
  assert.equal(first.code, 1)
  assert.deepEqual(first.check.orphaned, [orphan])
  assert.equal(first.check.orphanedBytes, 1234)
  assert.deepEqual([first.check.missingCount, first.check.corruptCount], [0, 0])

  const places = ['damaged', 'missing'].map((name) => find(data, contents.get(name)!.subarray(100, 200)))
  for (const place of places) flipByte(place)
  const verified = await fsck(data, '--verify-bytes')
  assert.equal(verified.code, 1)
  const fids = new Map(verified.check.corrupt.map(({ fid, owner }) => [keyOf(owner), fid!]))
  assert.deepEqual([...fids.keys()].sort(), ['f/damaged', 'f/missing'])
  assert.equal(verified.check.corruptCount, 2)
  flipByte(places[1]!)
  server = await start(data)
  const path = `http://${server.volume}/${fids.get('f/missing')}`
  assert.equal((await fetch(path, { method: 'DELETE' })).status, 202)
  // What was deleted stays readable for those who began before, until its volume is compacted.
  const status = (await fetch(`http://${server.filer}/f/damaged`).catch(() => undefined))?.status ?? 500
  assert.ok(status >= 500, `${status}`)
  await server.stop()
  const database = new DatabaseSync(join(data, 'meta', 'metadata.sqlite'))
  assert.equal(database.prepare('update content set refs = refs + 3').run().changes, 1)
  database.close()

  const { check, code } = await fsck(data, '--verify-bytes')
  assert.equal(code, 1)
  const told = ({ fid, owner }: Damage) => [fid, keyOf(owner)]
  assert.deepEqual(check.missing.map(told), [[fids.get('f/missing'), 'f/missing']])
  assert.deepEqual(check.corrupt.map(told), [[fids.get('f/damaged'), 'f/damaged']])
  assert.deepEqual(check.orphaned, [orphan])
  assert.deepEqual(
    check.wrongReferences.map(({ refs, counted }) => [refs, counted]),
    [[5, 2]],
  )
  const people = await runCairn(['fsck', '--data', data, '--verify-bytes', '--repair'])
  assert.equal(people.code, 1)
  assert.match(people.stdout, /1 missing, 1 damaged, 1 orphaned \(1234 bytes\), 1 counted wrong\nrepaired: /)
  const after = await fsck(data, '--verify-bytes')
  const { missingCount, corruptCount, orphanedCount, wrongReferencesCount } = after.check
  assert.deepEqual([missingCount, corruptCount, orphanedCount, wrongReferencesCount], [1, 1, 0, 0])

  // What is left is mended by storing it anew, and then everything is in order.
  server = await start(data)
  for (const [name, bytes] of contents) await put(server, `/f/${name}`, bytes)
  assert.equal((await fetch(`http://${server.filer}/f/large`, { method: 'DELETE' })).status, 204)
  const large = await fetch(`http://${server.filer}/f/copy`)
  assert.deepEqual(Buffer.from(await large.arrayBuffer()), dataOf(9, 5 * MIB))
  await server.stop()
  const mended = await fsck(data, '--verify-bytes')
  assert.equal(mended.code, 0, mended.text)
})

const keyOf = (owner: DamagedOwner) => (owner.kind === 'object' ? owner.key : owner.kind)
