/** One real server with one directory: which objects are in shards is configured; fsck sees them once, and mends what is lost. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { isErasure, layoutOf } from '../../src/base/erasure-id.ts'
import { elements, S3Client } from '../s3/s3-kit.ts'
import { ROOT_KEY, runCairn, type ServerProcess, startServer } from '../support/cairn-process.ts'
import { temporaryDirectory } from '../support/real-store.ts'

const MIB = 1024 * 1024
const WAIT_MS_MAX = 60_000
const FLAGS = [
  ...['--workers', '1', '--heartbeat', '500ms', '--garbage-delay', '100ms', '--no-journal'],
  ...['--bucket-redundancy', 'coded=rs-2-1', '--storage-class', 'STANDARD_IA=rs-4-2'],
]
const directory = temporaryDirectory()
const data = join(directory.path, 'data')
let server: ServerProcess
let s3: S3Client

async function start(flags: string[] = []): Promise<void> {
  server = await startServer(data, [...FLAGS, ...flags])
  const key = { accessKey: ROOT_KEY.accessKeyId, secretKey: ROOT_KEY.secretAccessKey }
  s3 = new S3Client(Number(server.s3.split(':')[1]), { key, region: 'us-east-1', clock: systemClock })
}

before(() => start())
after(async () => {
  await server.stop()
  directory.remove()
})

interface VolumeJson {
  Id: number
  Collection: string
  FileCount: number
  DeleteCount: number
}

/** Live files of objects, by redundancy: of a group those of one of its volumes. */
async function counts(): Promise<Record<string, number>> {
  const reply = (await (await fetch(`http://${server.master}/vol/status`)).json()) as {
    Volumes: { DataCenters: Record<string, Record<string, Record<string, VolumeJson[]>>> }
  }
  const volumes = Object.values(reply.Volumes.DataCenters)
    .flatMap((racks) => Object.values(racks))
    .flatMap((nodes) => Object.values(nodes))
    .flat()
  const found: Record<string, number> = {}
  for (const { Id, Collection, FileCount, DeleteCount } of volumes) {
    if (Collection !== '_objects') continue
    const { name, k, m } = isErasure(Id) ? layoutOf(Id) : { name: 'none', k: 1, m: 0 }
    found[name] = (found[name] ?? 0) + (FileCount - DeleteCount) / (k + m)
  }
  for (const name of Object.keys(found)) found[name] = Math.round(found[name]! * 1000) / 1000
  return found
}

/** Volume servers tell their masters how many files they have each period. */
async function untilCounts(wanted: Record<string, number>): Promise<void> {
  for (let waited = 0; ; waited += 50) {
    const found = await counts()
    if (JSON.stringify(sorted(found)) === JSON.stringify(sorted(wanted))) return
    assert.ok(waited < WAIT_MS_MAX, `${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`)
    await systemClock.sleep(50)
  }
}

const sorted = (counted: Record<string, number>) =>
  Object.entries(counted)
    .filter(([, count]) => count > 0)
    .sort()

const put = async (path: string, body: Buffer, headers: Record<string, string> = {}) => {
  const reply = await s3.put(path, body, { headers })
  assert.equal(reply.status, 200, `${reply.text}\n${server.log().slice(-2000)}`)
}
const get = async (path: string) => (await s3.get(path)).body

test('buckets and storage classes choose; copies are stored as their new place says', async () => {
  assert.ok(existsSync(join(data, 'shards6')))
  assert.match(server.log(), /protect from damage to the bytes, not from the loss of the disk/)
  for (const bucket of ['coded', 'plain']) assert.equal((await s3.put(`/${bucket}`, '')).status, 200)
  const [a, b, c] = [randomBytes(1000), randomBytes(5000), randomBytes(MIB)] as const
  await put('/plain/a', a)
  await put('/coded/b', b)
  await put('/plain/c', c, { 'x-amz-storage-class': 'STANDARD_IA' })
  await untilCounts({ none: 1, 'rs-2-1': 1, 'rs-4-2': 1 })
  const copy = (path: string, source: string, headers: Record<string, string> = {}) =>
    s3.put(path, '', { headers: { 'x-amz-copy-source': source, ...headers } })
  assert.equal((await copy('/coded/a', '/plain/a')).status, 200)
  assert.equal((await copy('/plain/b', '/coded/b')).status, 200)
  assert.equal((await copy('/plain/b2', '/plain/b')).status, 200)
  assert.equal((await copy('/coded/c', '/plain/c', { 'x-amz-storage-class': 'STANDARD_IA' })).status, 200)
  await untilCounts({ none: 2, 'rs-2-1': 2, 'rs-4-2': 1 })
  for (const [path, bytes] of [
    ['/plain/a', a],
    ['/coded/a', a],
    ['/coded/b', b],
    ['/plain/b', b],
    ['/plain/b2', b],
    ['/plain/c', c],
    ['/coded/c', c],
  ] as const)
    assert.ok((await get(path)).equals(bytes), path)
})

test('an upload in parts keeps its storage class, and what is deleted goes from all shards', async () => {
  const headers = { 'x-amz-storage-class': 'STANDARD_IA' }
  const begun = await s3.send('POST', { path: '/plain/parts', query: { uploads: '' }, headers })
  const [uploadId] = elements(begun.text, 'UploadId')
  const parts = [randomBytes(5 * MIB), randomBytes(1000)]
  const sent = await Promise.all(
    parts.map((body, at) =>
      s3.put('/plain/parts', body, { query: { partNumber: String(at + 1), uploadId: uploadId! } }),
    ),
  )
  const list = sent.map(
    ({ headers: { etag } }, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${etag}</ETag></Part>`,
  )
  const body = `<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`
  assert.equal(
    (await s3.send('POST', { path: '/plain/parts', query: { uploadId: uploadId! }, body })).status,
    200,
  )
  assert.ok((await get('/plain/parts')).equals(Buffer.concat(parts)))
  // One chunk of 4 MiB, the rest, and the second part.
  await untilCounts({ none: 2, 'rs-2-1': 2, 'rs-4-2': 4 })
  for (const path of ['/plain/parts', '/coded/a', '/plain/c', '/coded/c'])
    assert.equal((await s3.delete(path)).status, 204)
  await untilCounts({ none: 2, 'rs-2-1': 1 })
})

test('fsck sees each blob once; lost shards are mended; more than the code bears are named', async () => {
  const bytes = randomBytes(3000)
  for (let at = 0; at < 10; at++) await put(`/coded/many-${at}`, bytes)
  await server.stop()
  const fsck = (...flags: string[]) => runCairn(['fsck', '--data', data, ...flags])
  const clean = await fsck()
  assert.match(clean.stdout, /^13 blobs, 13 named: 0 missing, 0 damaged, 0 orphaned/)
  assert.match(clean.stdout, /clean/)
  const files = shardFiles()
  assert.equal(files.length, 3)
  truncateSync(files[1]!, 500)
  const weak = await fsck()
  assert.match(weak.stdout, /\d+ blobs are whole, but had lost shards: --repair/)
  assert.equal(weak.code, 1)
  assert.match((await fsck('--repair')).stdout, /had lost shards, which are back/)
  assert.match((await fsck('--verify-bytes')).stdout, /clean/)
  truncateSync(files[0]!, 500)
  truncateSync(files[2]!, 500)
  const lost = await fsck()
  assert.match(lost.stdout, /[1-9]\d* missing/)
  assert.match(lost.stdout, /unavailable|missing: .*many-9/)
})

test('what is lost is 503, and the rest is served', async () => {
  await start()
  const first = await s3.get('/plain/b')
  assert.equal(first.status, 200)
  const last = await s3.get('/coded/many-9')
  assert.equal(last.status, 503, last.text)
  await put('/coded/new', randomBytes(100))
})

/** The `.dat` of the volumes of rs-2-1. */
function shardFiles(): string[] {
  return readdirSync(data)
    .filter((name) => /^shards\d$/.test(name))
    .flatMap((folder) => readdirSync(join(data, folder)).map((name) => join(data, folder, name)))
    .filter((path) => {
      const id = /_objects_(\d+)\.dat$/.exec(path)?.[1]
      return id !== undefined && layoutOf(Number(id)).name === 'rs-2-1'
    })
    .sort((x, y) => (x.slice(-14) < y.slice(-14) ? -1 : 1))
}
