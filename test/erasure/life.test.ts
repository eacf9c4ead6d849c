/**
 * One real server over six directories, all objects in shards: what doors make of them works as with blobs in one piece, before
 * two directories are lost and after; and what is deleted gives its room back in all six.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { shardIndexOf } from '../../src/base/erasure-id.ts'
import { elements, S3Client } from '../s3/s3-kit.ts'
import { ROOT_KEY, type ServerProcess, startServer } from '../support/cairn-process.ts'
import { temporaryDirectory } from '../support/real-store.ts'

const MIB = 1024 * 1024
const CHUNK = 4 * MIB
const LARGE_BYTES = 2 * CHUNK + 70_001
const WAIT_MS_MAX = 60_000
const SSE = 'x-amz-server-side-encryption'
const FLAGS = [
  ...['--workers', '1', '--heartbeat', '500ms', '--garbage-delay', '100ms', '--no-journal'],
  ...['--redundancy', 'rs-4-2'],
]
const directory = temporaryDirectory()
const directories = Array.from({ length: 6 }, (_, at) => join(directory.path, `d${at}`))
const large = randomBytes(LARGE_BYTES)
const customerKey = randomBytes(32)
const CUSTOMER = {
  [`${SSE}-customer-algorithm`]: 'AES256',
  [`${SSE}-customer-key`]: customerKey.toString('base64'),
  [`${SSE}-customer-key-MD5`]: createHash('md5').update(customerKey).digest('base64'),
}
let server: ServerProcess
let s3: S3Client

/** `repairAfter`: when what is lost is made anew. */
async function start(repairAfter = '1h'): Promise<void> {
  const flags = [...FLAGS, '--sse-c-over-http', '--repair-after', repairAfter]
  server = await startServer(directories.join(), flags)
  const key = { accessKey: ROOT_KEY.accessKeyId, secretKey: ROOT_KEY.secretAccessKey }
  s3 = new S3Client(Number(server.s3.split(':')[1]), { key, region: 'us-east-1', clock: systemClock })
}

before(async () => {
  await start()
  assert.equal((await s3.put('/bucket', '')).status, 200)
})
after(async () => {
  await server.stop()
  directory.remove()
})

/** What can be asked for, and what must come. */
const checks: [string, () => Promise<void>][] = []

function expectObject(
  name: string,
  path: string,
  bytes: Buffer,
  more: { query?: Record<string, string>; headers?: Record<string, string> } = {},
) {
  checks.push([
    name,
    async () => {
      const whole = await s3.get(path, more.query, more.headers)
      assert.equal(whole.status, 200, whole.text.slice(0, 500))
      assert.ok(whole.body.equals(bytes), name)
      for (const [from, to] of rangesOf(bytes.length)) {
        const headers = { ...more.headers, range: `bytes=${from}-${to - 1}` }
        const part = await s3.get(path, more.query, headers)
        assert.equal(part.status, 206, part.text.slice(0, 500))
        assert.ok(part.body.equals(bytes.subarray(from, to)), `${name}, ${from} to ${to}`)
      }
    },
  ])
}

/** At the borders of shards and of chunks, and across them. */
function rangesOf(length: number): [number, number][] {
  const ranges: [number, number][] = [
    [0, 1],
    [length - 1, length],
    [MIB - 1, MIB + 1],
    [CHUNK - 1, CHUNK + 1],
    [CHUNK, CHUNK + 1],
    [CHUNK - 3 * MIB, CHUNK + 2 * MIB + 5],
    [2 * CHUNK - 10, length],
  ]
  return ranges.filter(([from, to]) => from < to && to <= length)
}

async function checkAll(): Promise<void> {
  for (const [, check] of checks) await check()
}

test('many first writes at once wait for the first group', async () => {
  const bodies = Array.from({ length: 64 }, (_, at) => `body ${at}`)
  const statuses = await Promise.all(
    bodies.map(async (body, at) => {
      const digest = `SHA-256=${createHash('sha256').update(body).digest('base64')}`
      const url = `http://${server.objects}/objects/first/${at}`
      const reply = await fetch(url, { method: 'PUT', headers: { digest }, body })
      return `${reply.status} ${await reply.text()}`
    }),
  )
  assert.deepEqual(
    statuses,
    bodies.map(() => '200 '),
  )
  assert.equal(volumeFiles([0]).filter((path) => path.endsWith('.dat')).length, 1)
})

test('large objects, encrypted ones, versions, copied parts, appends and equal bytes', async () => {
  assert.equal((await s3.put('/bucket/large', large)).status, 200)
  expectObject('large', '/bucket/large', large)
  for (const [kind, headers] of [
    ['managed', { [SSE]: 'AES256' }],
    ['customer', CUSTOMER],
  ] as const) {
    const sealed = await s3.put(`/bucket/${kind}`, large, { headers })
    assert.equal(sealed.status, 200, sealed.text)
    expectObject(kind, `/bucket/${kind}`, large, kind === 'customer' ? { headers } : {})
  }
  await putVersions()
  await copyParts()
  const text = Buffer.from('appended ')
  for (let i = 0; i < 3; i++) {
    const reply = await fetch(`http://${server.filer}/appended?op=append`, { method: 'POST', body: text })
    assert.equal(reply.status, 201, await reply.text())
  }
  checks.push([
    'appended',
    async () => {
      const reply = await fetch(`http://${server.filer}/appended`)
      assert.equal(await reply.text(), 'appended appended appended ')
    },
  ])
  await checkAll()
})

async function putVersions(): Promise<void> {
  assert.equal((await s3.put('/versioned', '')).status, 200)
  const body = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
  assert.equal((await s3.put('/versioned', body, { query: { versioning: '' } })).status, 200)
  for (const bytes of [randomBytes(3000), randomBytes(2 * MIB)]) {
    const { headers } = await s3.put('/versioned/key', bytes)
    const versionId = headers['x-amz-version-id'] as string
    expectObject(`version of ${bytes.length}`, '/versioned/key', bytes, { query: { versionId } })
  }
}

/** By reference: the parts are ranges of another object. */
async function copyParts(): Promise<void> {
  const begun = await s3.send('POST', { path: '/bucket/parts', query: { uploads: '' } })
  const uploadId = elements(begun.text, 'UploadId')[0]!
  const ranges = [
    [0, CHUNK + MIB],
    [MIB + 1, LARGE_BYTES],
  ] as const
  const parts: string[] = []
  for (const [at, [from, to]] of ranges.entries()) {
    const headers = {
      'x-amz-copy-source': '/bucket/large',
      'x-amz-copy-source-range': `bytes=${from}-${to - 1}`,
    }
    const query = { partNumber: String(at + 1), uploadId }
    const reply = await s3.put('/bucket/parts', '', { query, headers })
    assert.equal(reply.status, 200, reply.text)
    parts.push(
      `<Part><PartNumber>${at + 1}</PartNumber><ETag>${elements(reply.text, 'ETag')[0]}</ETag></Part>`,
    )
  }
  const body = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`
  assert.equal((await s3.send('POST', { path: '/bucket/parts', query: { uploadId }, body })).status, 200)
  expectObject('parts', '/bucket/parts', Buffer.concat(ranges.map(([from, to]) => large.subarray(from, to))))
}

test('the same with two directories lost, and when they were made anew', async () => {
  await server.stop()
  for (const path of volumeFiles([1, 2])) rmSync(path)
  await start()
  await checkAll()
  await server.stop()
  await start('1s')
  await until('all is there again', async () => {
    const sizes = bytesInVolumes()
    return sizes.every((size) => Math.abs(size - sizes[0]!) < 10_000)
  })
  await checkAll()
})

test('equal bytes are counted: they go when nothing has them, and all six volumes get their room back', async () => {
  const bytes = randomBytes(200_000)
  const hash = createHash('sha256').update(bytes).digest('base64')
  const put = (name: string) =>
    fetch(`http://${server.objects}/objects/${name}`, {
      method: 'PUT',
      headers: { digest: `SHA-256=${hash}` },
      body: bytes,
    })
  for (const name of ['one', 'two', 'three']) assert.equal((await put(name)).status, 200)
  const found = async () =>
    (await fetch(`http://${server.objects}/objects/${encodeURIComponent(hash)}`)).status
  for (const key of ['one', 'two']) await removeForGood(key)
  assert.equal(await found(), 200)
  await removeForGood('three')
  await until('the bytes are gone', async () => (await found()) === 404)
  for (const path of ['/bucket/large', '/bucket/managed', '/bucket/customer', '/bucket/parts'])
    assert.equal((await s3.delete(path)).status, 204)
  await until('the volumes are compacted', async () => {
    await fetch(`http://${server.master}/vol/vacuum?garbageThreshold=0.01`)
    return bytesInVolumes().every((size) => size < MIB)
  })
  const versions = checks.filter(([name]) => name.startsWith('version') || name === 'appended')
  assert.equal(versions.length, 3)
  for (const [, check] of versions) await check()
})

/** All versions of an object of `/objects`, through S3. */
async function removeForGood(key: string): Promise<void> {
  const listed = await s3.get('/objects', { versions: '', prefix: key })
  for (const versionId of elements(listed.text, 'VersionId'))
    assert.equal((await s3.delete(`/objects/${key}`, { versionId })).status, 204)
}

async function until(what: string, isDone: () => Promise<boolean>): Promise<void> {
  for (let waited = 0; !(await isDone()); waited += 100) {
    assert.ok(waited < WAIT_MS_MAX, `${what}: ${bytesInVolumes().join()}\n${server.log().slice(-2000)}`)
    await systemClock.sleep(100)
  }
}

/** Of the erasure volumes with these shards. */
function volumeFiles(shards: readonly number[]): string[] {
  return directories
    .flatMap((path) => readdirSync(path).map((name) => join(path, name)))
    .filter((path) => {
      const id = /_objects_(\d+)\.[a-z]+$/.exec(path)?.[1]
      return id !== undefined && shards.includes(shardIndexOf(Number(id)))
    })
}

/** By shard. */
function bytesInVolumes(): number[] {
  return [0, 1, 2, 3, 4, 5].map((shard) =>
    volumeFiles([shard])
      .filter((path) => path.endsWith('.dat'))
      .reduce((sum, path) => sum + statSync(path).size, 0),
  )
}
