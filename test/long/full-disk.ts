/**
 * `npm run long -- full-disk DIRECTORY`: fills the small disk that is mounted there through the HTTP API. Writes are refused with
 * 507, reads and deletes all succeed, and writes go on by themselves once the deleted files have been compacted away.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import { startServer } from '../support/cairn-process.ts'

const FILE_BYTES = 512 * 1024
const DISK_BYTES_MAX = 2 ** 30
const AGAIN_MS_MAX = 120_000

const [path] = process.argv.slice(2)
assert.ok(path !== undefined, 'name the directory where a small disk is mounted')
const { blocks, bsize } = await statfs(path)
assert.ok(blocks * bsize <= DISK_BYTES_MAX, 'that disk is not small')
const data = join(path, 'data')
const server = await startServer(data, ['--heartbeat', '100ms', '--ballast', '16MiB'])
const random = seededRandom(1)
const stored = new Map<string, string>()
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

async function ask(fid: string, method = 'GET', body?: Uint8Array<ArrayBuffer>): Promise<Response> {
  const signal = AbortSignal.timeout(30_000)
  return await fetch(`http://${server.volume}/${fid}`, {
    method,
    signal,
    ...(body === undefined ? {} : { body }),
  })
}

async function put(fid: string): Promise<number> {
  const bytes = new Uint8Array(random.bytes(FILE_BYTES))
  const { status } = await ask(fid, 'PUT', bytes)
  if (status === 201) stored.set(fid, digest(bytes))
  return status
}

async function checkAll(): Promise<void> {
  for (const [fid, wanted] of stored) {
    const reply = await ask(fid)
    assert.deepEqual([reply.status, digest(new Uint8Array(await reply.arrayBuffer()))], [200, wanted], fid)
  }
}

try {
  const count = Math.ceil((blocks * bsize * 2) / FILE_BYTES)
  const assigned = await fetch(`http://${server.master}/dir/assign?count=${count}`)
  const { fid } = (await assigned.json()) as { fid: string }
  const fids = Array.from({ length: count }, (_, i) => (i === 0 ? fid : `${fid}_${i}`))
  let status = 201
  while (status === 201) status = await put(fids.shift()!)
  assert.equal(status, 507)
  console.log(`full after ${stored.size} files`)
  await checkAll()
  for (const [i, each] of [...stored.keys()].entries()) {
    if (i % 20 === 0) continue
    assert.equal((await ask(each, 'DELETE')).status, 202, each)
    stored.delete(each)
  }
  await checkAll()
  const startMs = performance.now()
  while ((await put(fids.shift()!)) !== 201) {
    assert.ok(performance.now() - startMs < AGAIN_MS_MAX, 'writes go on')
    await systemClock.sleep(500)
  }
  console.log(`writes again after ${((performance.now() - startMs) / 1_000).toFixed(1)} s`)
  for (let i = 0; i < 20; i++) assert.equal(await put(fids.shift()!), 201)
  await checkAll()
} finally {
  await server.stop()
  await rm(data, { recursive: true, force: true })
}
