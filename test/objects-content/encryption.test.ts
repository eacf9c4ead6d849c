/** Encrypted contents on real volumes: what was put in another one's place is found, appends go on with the object's key. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { formatFid } from '../../src/base/fid.ts'
import { systemRandom as random } from '../../src/base/random.ts'
import type { BlobId } from '../../src/blobs/blob-store.ts'
import { checkStore } from '../../src/objects/check-store.ts'
import { findVersion } from '../../src/objects/find-steps.ts'
import type { Bucket, PutObject } from '../../src/objects/object-store.ts'
import { contentOf } from '../../src/objects/rows.ts'
import { bodyOf, bytesOf, type ContentKit, startContent } from './content-kit.ts'

const CHUNK = 4 * 1024 * 1024
const MANAGED = { managed: true } as const

let kit: ContentKit
let place: Bucket
before(async () => {
  kit = await startContent()
  place = await kit.store.createBucket({ name: 'encrypted', owner: 'x' })
})
after(() => kit.close())

const put = (key: string, bytes: Buffer, encryption: PutObject['encryption']) =>
  kit.store.put({
    bucket: place,
    key,
    body: bodyOf(bytes),
    attributes: {},
    ...(encryption && { encryption }),
  })

async function append(key: string, bytes: Buffer, encryption?: PutObject['encryption']) {
  const request = { bucket: place, key, body: bodyOf(bytes), attributes: {} }
  return await kit.store.append(encryption === undefined ? request : { ...request, encryption })
}

async function read(
  key: string,
  customerKey?: Buffer,
  [start, end]: readonly number[] = [],
): Promise<Buffer> {
  const found = await kit.store.find(place, key, customerKey === undefined ? {} : { customerKey })
  return await bytesOf(found.read(start ?? 0, end ?? found.info.sizeBytes))
}

const stored = async (key: string) => {
  const { row } = await kit.meta.read(findVersion, {
    bucketId: place.id,
    key: Buffer.from(key),
    version: undefined,
  })
  return contentOf(row)
}

/** While it runs, reads of one blob give the bytes of another. */
async function swapped(from: BlobId, to: BlobId, run: () => Promise<void>): Promise<void> {
  const { blobs } = kit
  const [read, readRange] = [blobs.read.bind(blobs), blobs.readRange.bind(blobs)]
  const other = (id: BlobId) => (formatFid(id) === formatFid(from) ? to : id)
  blobs.read = (id, options) => read(other(id), options)
  blobs.readRange = (id, start, end, options) => readRange(other(id), start, end, options)
  try {
    await run()
  } finally {
    blobs.read = read
    blobs.readRange = readRange
  }
}

const blobsOf = ({ blobs }: { blobs: Buffer | undefined }): BlobId[] =>
  Array.from({ length: blobs!.length / 20 }, (_, at) => ({
    volumeId: blobs!.readUInt32BE(at * 20),
    keyHigh: blobs!.readUInt32BE(at * 20 + 4),
    keyLow: blobs!.readUInt32BE(at * 20 + 8),
    cookie: blobs!.readUInt32BE(at * 20 + 12),
  }))

test('a blob in the place of another one is found, of the same object too', async () => {
  const bytes = random.bytes(3 * CHUNK)
  await put('long', bytes, MANAGED)
  await put('other', random.bytes(3 * CHUNK), MANAGED)
  const [first, second] = blobsOf(await stored('long'))
  const [foreign] = blobsOf(await stored('other'))
  assert.ok((await read('long')).equals(bytes))
  for (const other of [second!, foreign!]) {
    await swapped(first!, other, async () => {
      await assert.rejects(read('long'), { code: 'corrupt' })
      await assert.rejects(read('long', undefined, [10, 20]), { code: 'corrupt' })
      assert.ok(
        (await read('long', undefined, [CHUNK, CHUNK + 10])).equals(bytes.subarray(CHUNK, CHUNK + 10)),
      )
    })
  }
  for (const [key, length] of [
    ['small', 100],
    ['small-other', 100],
    ['short', 60],
  ] as const)
    await put(key, random.bytes(length), MANAGED)
  const [small] = blobsOf(await stored('small'))
  for (const key of ['small-other', 'short']) {
    const [other] = blobsOf(await stored(key))
    await swapped(small!, other!, () => assert.rejects(read('small'), { code: 'corrupt' }))
  }
})

test('appends go on with the key of the object', async () => {
  const customerKey = random.bytes(32)
  for (const [key, encryption, reading] of [
    ['log', MANAGED, undefined],
    ['own-log', { customerKey }, customerKey],
  ] as const) {
    const pieces = Array.from({ length: 20 }, (_, at) => random.bytes(at === 10 ? 2 * CHUNK : 1 + at * 1000))
    for (const [at, piece] of pieces.entries()) {
      const { encryption: kind } = await append(
        key,
        piece,
        at === 0 || reading !== undefined ? encryption : undefined,
      )
      assert.equal(kind, key === 'log' ? 'SSE-S3' : 'SSE-C')
    }
    assert.ok((await read(key, reading)).equals(Buffer.concat(pieces)))
  }
  await assert.rejects(append('own-log', Buffer.from('x')), { code: 'key_required' })
  await assert.rejects(append('own-log', Buffer.from('x'), { customerKey: random.bytes(32) }), {
    code: 'wrong_key',
  })
  await assert.rejects(append('log', Buffer.from('x'), { customerKey }), { code: 'key_not_needed' })
  await append('plain-log', Buffer.from('x'))
  await assert.rejects(append('plain-log', Buffer.from('x'), MANAGED), { code: 'conflict' })
  // Those who make the object at the same time have other keys: only one of them has made it.
  const racing = await Promise.allSettled(
    [1, 2, 3].map((at) => append('race', Buffer.from(`${at}`), MANAGED)),
  )
  const done = racing.filter(({ status }) => status === 'fulfilled').length
  assert.ok(done > 0)
  for (const outcome of racing)
    if (outcome.status === 'rejected') assert.equal(outcome.reason.code, 'conflict')
  assert.equal((await read('race')).length, done)
})

test('encrypted bytes are not shared by their hash', async () => {
  const deduplicated = await kit.store.changeBucket(place, { configs: { dedupe: '{}' } })
  const bytes = random.bytes(100_000)
  const both = []
  for (const key of ['one', 'two']) {
    await kit.store.put({
      bucket: deduplicated,
      key,
      body: bodyOf(bytes),
      attributes: {},
      encryption: MANAGED,
    })
    const content = await stored(key)
    both.push(content.blobs?.toString('hex') ?? content.contentId?.toString('hex'))
  }
  assert.notEqual(both[0], both[1])
  const upload = await kit.store.createUpload({
    bucket: deduplicated,
    key: 'up',
    attributes: {},
    encryption: MANAGED,
  })
  const at = { bucket: deduplicated, key: 'up', uploadId: upload.uploadId }
  const { etag } = await kit.store.putPart({ ...at, number: 1, body: bodyOf(bytes) })
  const sha256 = createHash('sha256').update(bytes).digest()
  const completing = kit.store.completeUpload({ ...at, parts: [{ number: 1, etag }], sha256 })
  await assert.rejects(completing, { code: 'unsupported' })
  await kit.store.changeBucket(place, { configs: { dedupe: null } })
})

test('fsck finds nothing wrong with encrypted objects', async () => {
  const check = await checkStore({ ...kit, random, collection: '_objects', verify: true })
  assert.ok(check.named > 10)
  assert.deepEqual([check.missing, check.corrupt, check.wrongReferences], [[], [], []])
  assert.equal(check.orphanedCount, 0)
})
