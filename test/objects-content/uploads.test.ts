/** Multipart uploads: parts put and copied, completed once, aborted, listed; and appends. The rows are audited after each. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, afterEach, before, describe, test } from 'node:test'
import { StoreError } from '../../src/base/errors.ts'
import { OBJECT_CHUNK_BYTES } from '../../src/base/limits.ts'
import { seededRandom } from '../../src/base/random.ts'
import type { Script } from '../../src/meta/meta-store.ts'
import { digestsOf } from '../../src/objects/digests.ts'
import type { Bucket, CompleteUpload, NewBucket, NewUpload } from '../../src/objects/object-store.ts'
import { clearEndedUploads, UPLOAD_SCRIPTS } from '../../src/objects/uploads.ts'
import { noPostgres, PostgresServer } from '../support/postgres.ts'
import { audit } from './audit.ts'
import { bodyOf, bytesOf, type ContentKit, crowd, startContent } from './content-kit.ts'

const random = seededRandom(11)
const kits: ContentKit[] = []
let newDatabase: () => Promise<string | undefined> = async () => undefined

afterEach(async () => {
  for (const kit of kits.splice(0)) {
    assert.deepEqual((await audit(kit)).problems, [])
    await kit.close()
  }
})

const code = (wanted: string) => (error: unknown) => {
  assert.ok(error instanceof StoreError, String(error))
  assert.equal(error.code, wanted, error.message)
  return true
}

const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest()
const md5OfParts = (parts: Buffer[]) =>
  `${md5(Buffer.concat(parts.map(md5))).toString('hex')}-${parts.length}`

/** One bucket, one key. Parts may be short, but for the test of that. */
class Session {
  readonly kit: ContentKit
  bucket: Bucket

  constructor(kit: ContentKit, bucket: Bucket) {
    this.kit = kit
    this.bucket = bucket
  }

  static async open(bucket: Partial<NewBucket> = {}, partBytesMin = 1): Promise<Session> {
    const kit = await startContent({ partBytesMin, url: await newDatabase() })
    kits.push(kit)
    return new Session(kit, await kit.store.createBucket({ name: 'bucket', owner: 'alice', ...bucket }))
  }

  get store() {
    return this.kit.store
  }

  put(key: string, bytes: Buffer) {
    return this.store.put({ bucket: this.bucket, key, body: bodyOf(bytes), attributes: {} })
  }

  async read(key: string): Promise<Buffer> {
    const found = await this.store.find(this.bucket, key)
    return await bytesOf(found.read(0, found.info.sizeBytes))
  }

  async begin(more: Partial<NewUpload> = {}, key = 'key') {
    const { uploadId } = await this.store.createUpload({ bucket: this.bucket, key, attributes: {}, ...more })
    return new Upload(this, { bucket: this.bucket, key, uploadId })
  }
}

class Upload {
  readonly session: Session
  readonly at: { bucket: Bucket; key: string; uploadId: string }

  constructor(session: Session, at: Upload['at']) {
    this.session = session
    this.at = at
  }

  put(number: number, bytes: Buffer) {
    return this.session.store.putPart({ ...this.at, number, body: bodyOf(bytes) })
  }

  copy(number: number, key: string, range?: { start: number; end: number }) {
    const source = { bucket: this.at.bucket, key }
    return this.session.store.copyPart({
      ...this.at,
      number,
      source,
      ...(range === undefined ? {} : { range }),
    })
  }

  complete(parts: CompleteUpload['parts'], more: Partial<CompleteUpload> = {}) {
    return this.session.store.completeUpload({ ...this.at, parts, ...more })
  }

  async completeAll(more: Partial<CompleteUpload> = {}) {
    const { parts } = await this.session.store.listParts(this.at, { after: 0, limit: 10_000 })
    return await this.complete(parts, more)
  }
}

describe('on SQLite', suite)

describe('on PostgreSQL', { skip: noPostgres }, () => {
  let server: PostgresServer
  let databases = 0
  before(async () => {
    server = await PostgresServer.start()
    newDatabase = () => server.createDatabase(`uploads_${++databases}`)
  })
  after(() => server?.end())
  suite()
})

function suite(): void {
  test('parts become an object in their order, whatever order they came in; ranges go over them', async () => {
    const session = await Session.open()
    const upload = await session.begin({ attributes: { contentType: 'text/x' }, tags: [['a', 'b']] })
    const parts = [random.bytes(100_000), random.bytes(OBJECT_CHUNK_BYTES + 9), random.bytes(1)]
    await upload.put(7, parts[2]!)
    await upload.put(2, random.bytes(500))
    await upload.put(1, parts[0]!)
    const replaced = await upload.put(2, parts[1]!)
    assert.equal(replaced.etag, md5(parts[1]!).toString('hex'))
    const result = await upload.completeAll()
    const whole = Buffer.concat(parts)
    assert.equal(result.etag, md5OfParts(parts))
    assert.equal(result.sizeBytes, whole.length)
    const found = await session.store.find(session.bucket, 'key')
    assert.deepEqual(
      found.info.attributes.partSizes,
      parts.map((part) => part.length),
    )
    assert.equal(found.info.attributes.contentType, 'text/x')
    assert.deepEqual(found.info.tags, [['a', 'b']])
    assert.ok((await session.read('key')).equals(whole))
    for (const [start, end] of [
      [99_999, 100_001],
      [100_000, 100_001],
      [99_000, whole.length],
      [whole.length - 1, whole.length],
    ] as const)
      assert.ok((await bytesOf(found.read(start, end))).equals(whole.subarray(start, end)))
    assert.deepEqual(await session.store.usage(session.bucket), { objects: 1, bytes: whole.length })
    await assert.rejects(session.store.listParts(upload.at, { after: 0, limit: 1 }), code('upload_not_found'))
  })

  test('completing again gives the same; with other parts, after an abort or by a wrong id there is no upload', async () => {
    const session = await Session.open()
    const upload = await session.begin()
    await upload.put(1, Buffer.from('one'))
    await upload.put(2, Buffer.from('two'))
    const { parts } = await session.store.listParts(upload.at, { after: 0, limit: 10 })
    const first = await upload.complete(parts)
    assert.deepEqual(await upload.complete(parts), first)
    await assert.rejects(upload.complete(parts.slice(1)), code('upload_not_found'))
    await assert.rejects(session.store.abortUpload(upload.at), code('upload_not_found'))
    await assert.rejects(upload.put(1, Buffer.from('x')), code('upload_not_found'))
    for (const uploadId of ['', 'x', 'AB'.repeat(16), '00'.repeat(16)])
      await assert.rejects(session.store.abortUpload({ ...upload.at, uploadId }), code('upload_not_found'))
    const other = await session.begin()
    await other.put(1, Buffer.from('gone'))
    await session.store.abortUpload(other.at)
    await assert.rejects(other.complete(parts), code('upload_not_found'))
    assert.equal((await session.read('key')).toString(), 'onetwo')
  })

  test('wrong lists of parts are refused, and the upload stays', async () => {
    const session = await Session.open({}, 10)
    const upload = await session.begin()
    const one = await upload.put(1, Buffer.alloc(10))
    const two = await upload.put(2, Buffer.alloc(9))
    const three = await upload.put(3, Buffer.alloc(9))
    await assert.rejects(upload.complete([]), code('bad_request'))
    await assert.rejects(upload.complete([two, one]), code('invalid_part_order'))
    await assert.rejects(upload.complete([one, one]), code('invalid_part_order'))
    await assert.rejects(upload.complete([one, { ...two, number: 4 }]), code('invalid_part'))
    await assert.rejects(upload.complete([{ ...one, etag: two.etag }]), code('invalid_part'))
    await assert.rejects(upload.complete([one, two, three]), code('part_too_small'))
    await assert.rejects(upload.complete([one, two], { sizeBytes: 20 }), code('bad_request'))
    await assert.rejects(upload.complete([one], { conditions: { ifMatch: '*' } }), code('not_found'))
    for (const number of [0, 10_001, 1.5])
      await assert.rejects(upload.put(number, Buffer.alloc(1)), code('bad_request'))
    assert.equal((await upload.complete([one, two], { sizeBytes: 19 })).sizeBytes, 19)
  })

  test('checksums: composite and of the whole, checked and kept', async () => {
    const session = await Session.open()
    const parts = [random.bytes(70_000), random.bytes(3), random.bytes(2_000_000)]
    const whole = Buffer.concat(parts)
    for (const [algorithm, name] of [
      ['CRC32', 'crc32'],
      ['CRC32C', 'crc32c'],
      ['CRC64NVME', 'crc64nvme'],
    ] as const) {
      const upload = await session.begin({ checksum: { algorithm, type: 'FULL_OBJECT' } })
      for (const [at, part] of parts.entries()) {
        const put = await upload.put(at + 1, part)
        assert.equal(put.checksum?.value, digestsOf([name], part)[name]!.toString('base64'))
      }
      const value = digestsOf([name], whole)[name]!.toString('base64')
      const wrong = { algorithm, type: 'FULL_OBJECT', value: Buffer.alloc(4).toString('base64') } as const
      await assert.rejects(upload.completeAll({ checksum: wrong }), code('digest_mismatch'))
      const { checksum } = await upload.completeAll({ checksum: { ...wrong, value } })
      assert.deepEqual(checksum, { algorithm, type: 'FULL_OBJECT', value })
    }
    for (const [algorithm, name] of [
      ['SHA256', 'sha256'],
      ['SHA1', 'sha1'],
      ['CRC32', 'crc32'],
    ] as const) {
      const upload = await session.begin({ checksum: { algorithm, type: 'COMPOSITE' } })
      const sums: Buffer[] = []
      for (const [at, part] of parts.entries()) {
        await upload.put(at + 1, part)
        sums.push(digestsOf([name], part)[name]!)
      }
      const value = `${digestsOf([name], Buffer.concat(sums))[name]!.toString('base64')}-3`
      assert.deepEqual((await upload.completeAll()).checksum, { algorithm, type: 'COMPOSITE', value })
      const { attributes } = (await session.store.find(session.bucket, 'key')).info
      assert.deepEqual(
        attributes.partChecksums,
        sums.map((sum) => sum.toString('base64')),
      )
    }
  })

  test('parts are copied by reference: of blobs, of chunks, of segments, whole and in part', async () => {
    const session = await Session.open()
    const small = random.bytes(5000)
    const large = random.bytes(40 * 65_536)
    await session.put('small', small)
    const disperse = crowd(session.kit.load)
    await session.put('large', large)
    await session.store.put({
      bucket: session.bucket,
      key: 'large',
      body: bodyOf(large, { pieceBytes: 65_536 }),
      attributes: {},
    })
    disperse()
    const source = await session.begin({}, 'segments')
    await source.put(1, small)
    await source.copy(2, 'large', { start: 100, end: 1_000_000 })
    await source.copy(3, 'small')
    await source.completeAll()
    const segments = Buffer.concat([small, large.subarray(100, 1_000_000), small])
    assert.ok((await session.read('segments')).equals(segments))
    const { size } = session.kit.blobs.live
    const upload = await session.begin()
    await upload.copy(1, 'segments', { start: 4990, end: 5010 })
    await upload.copy(2, 'segments')
    await upload.copy(3, 'segments', { start: segments.length - 4999, end: segments.length })
    await upload.copy(4, 'large')
    await upload.copy(5, 'small', { start: 10, end: 10 })
    await upload.copy(3, 'segments', { start: segments.length - 5001, end: segments.length })
    assert.equal(session.kit.blobs.live.size, size)
    await upload.completeAll()
    const expected = Buffer.concat([segments.subarray(4990, 5010), segments, segments.subarray(-5001), large])
    assert.ok((await session.read('key')).equals(expected))
    for (const key of ['small', 'large', 'segments'])
      await session.store.delete({ bucket: session.bucket, key })
    assert.ok((await session.read('key')).equals(expected))
    await assert.rejects(
      upload.copy(1, 'key', { start: 0, end: expected.length + 1 }),
      code('upload_not_found'),
    )
    const again = await session.begin()
    await assert.rejects(again.copy(1, 'key', { start: 0, end: expected.length + 1 }), code('bad_request'))
    await assert.rejects(again.copy(1, 'gone'), code('not_found'))
  })

  test('a copied part has the checksum that its upload wants', async () => {
    const session = await Session.open()
    const bytes = random.bytes(100_000)
    await session.put('source', bytes)
    const upload = await session.begin({ checksum: { algorithm: 'CRC64NVME', type: 'FULL_OBJECT' } })
    await upload.copy(1, 'source')
    const { etag, checksum } = await upload.copy(2, 'source', { start: 7, end: 77_777 })
    assert.equal(etag, md5(bytes.subarray(7, 77_777)).toString('hex'))
    assert.equal(
      checksum?.value,
      digestsOf(['crc64nvme'], bytes.subarray(7, 77_777)).crc64nvme!.toString('base64'),
    )
    const done = await upload.completeAll()
    const whole = Buffer.concat([bytes, bytes.subarray(7, 77_777)])
    assert.equal(done.checksum?.value, digestsOf(['crc64nvme'], whole).crc64nvme!.toString('base64'))
  })

  test('unused parts are removed, also when they are many; an abort removes all', async () => {
    const session = await Session.open()
    const [unused, aborted] = [await session.begin(), await session.begin()]
    for (let number = 1; number <= 150; number++) {
      await unused.put(number, Buffer.from(`part ${number}`))
      await aborted.put(number, Buffer.from('x'))
    }
    const { parts } = await session.store.listParts(unused.at, { after: 0, limit: 1000 })
    await unused.complete([parts[3]!, parts[149]!])
    await session.store.abortUpload(aborted.at)
    assert.equal((await session.read('key')).toString(), 'part 4part 150')
    assert.deepEqual(await session.store.usage(session.bucket), { objects: 1, bytes: 14 })
    assert.equal((await audit(session.kit)).named, 2)
    assert.deepEqual((await session.store.listUploads({ bucket: session.bucket, limit: 10 })).uploads, [])
  })

  test('what a process that died has left of an abort is removed later', async () => {
    const session = await Session.open()
    const upload = await session.begin()
    for (let number = 1; number <= 70; number++) await upload.put(number, Buffer.from('x'))
    const args = { bucketId: session.bucket.id, key: Buffer.from('key') }
    const uploadId = Buffer.from(upload.at.uploadId, 'hex')
    const begun = UPLOAD_SCRIPTS.find(({ name }) => name === 'uploads.abort') as Script<
      unknown,
      { isDone: boolean }
    >
    const { isDone } = await session.kit.meta.write(begun, { ...args, uploadId, nowMs: 1, usagePart: 0 })
    assert.equal(isDone, false)
    await assert.rejects(upload.put(1, Buffer.from('y')), code('upload_not_found'))
    assert.deepEqual((await session.store.listUploads({ bucket: session.bucket, limit: 10 })).uploads, [])
    await clearEndedUploads(session.kit)
    assert.deepEqual(await session.store.usage(session.bucket), { objects: 0, bytes: 0 })
    assert.equal((await audit(session.kit)).named, 0)
  })

  test('one of those who complete or abort at the same time wins, and nothing leaks', async () => {
    const session = await Session.open()
    for (let round = 0; round < 20; round++) {
      const upload = await session.begin({}, `key ${round}`)
      const parts = [await upload.put(1, Buffer.from('a')), await upload.put(2, Buffer.from('b'))]
      const outcomes = await Promise.allSettled([
        upload.complete(parts),
        upload.put(2, Buffer.from('c')),
        round % 2 === 0 ? session.store.abortUpload(upload.at) : upload.complete(parts),
        upload.complete(parts.slice(0, 1)),
      ])
      const found = session.store.find(session.bucket, `key ${round}`)
      const isThere = await Promise.resolve(found).then(
        () => true,
        () => false,
      )
      assert.equal(isThere, outcomes[0].status === 'fulfilled' || outcomes[3].status === 'fulfilled')
      for (const outcome of outcomes)
        if (outcome.status === 'rejected')
          assert.match(outcome.reason.code, /^(upload_not_found|invalid_part)$/)
    }
    assert.deepEqual((await session.store.listUploads({ bucket: session.bucket, limit: 10 })).uploads, [])
  })

  test('uploads and parts are listed in pages, with prefixes and markers', async () => {
    const session = await Session.open()
    const keys = ['a', 'b/1', 'b/2', 'b/2', 'c', 'd/x/y', 'd/x/z', 'e']
    for (const key of keys) await session.begin({}, key)
    const list = async (options: { prefix?: string; delimiter?: string; limit: number }) => {
      const seen: string[] = []
      let next: { key: string; uploadId: string | undefined } | undefined
      do {
        const page = await session.store.listUploads({
          bucket: session.bucket,
          ...options,
          ...(next === undefined ? {} : { after: next.key, afterUploadId: next.uploadId }),
        })
        seen.push(...page.uploads.map(({ key }) => key), ...page.prefixes)
        next = page.next
      } while (next !== undefined)
      return seen.sort()
    }
    for (const limit of [1, 2, 3, 100]) {
      assert.deepEqual(await list({ limit }), keys)
      assert.deepEqual(await list({ limit, prefix: 'b/' }), ['b/1', 'b/2', 'b/2'])
      assert.deepEqual(await list({ limit, delimiter: '/' }), ['a', 'b/', 'c', 'd/', 'e'])
      assert.deepEqual(await list({ limit, prefix: 'd/', delimiter: '/' }), ['d/x/'])
    }
    const upload = await session.begin()
    for (const number of [1, 5, 9]) await upload.put(number, Buffer.alloc(number))
    const page = await session.store.listParts(upload.at, { after: 1, limit: 1 })
    assert.deepEqual([page.parts.map(({ number }) => number), page.next], [[5], 5])
    const rest = await session.store.listParts(upload.at, { after: 5, limit: 1 })
    assert.deepEqual([rest.parts.map(({ sizeBytes }) => sizeBytes), rest.next], [[9], undefined])
  })

  test('versions and locks: a completed upload is a version like any other', async () => {
    const session = await Session.open({ objectLock: true })
    await session.put('key', Buffer.from('before'))
    const upload = await session.begin({ lock: { legalHold: true } })
    await upload.put(1, Buffer.from('after'))
    const { versionId, isVersioned } = await upload.completeAll()
    assert.ok(isVersioned && versionId !== 'null')
    const { info } = await session.store.find(session.bucket, 'key')
    assert.equal(info.lock.legalHold, true)
    await assert.rejects(
      session.store.delete({ bucket: session.bucket, key: 'key', versionId }),
      code('object_locked'),
    )
    const { parts } = { parts: [{ number: 1, etag: md5(Buffer.from('after')).toString('hex') }] }
    await session.put('key', Buffer.from('later'))
    assert.equal((await upload.complete(parts)).versionId, versionId)
  })

  test('quotas count parts', async () => {
    const session = await Session.open()
    session.bucket = await session.store.changeBucket(session.bucket, { quotaBytes: 100 })
    const upload = await session.begin()
    await upload.put(1, Buffer.alloc(60))
    await assert.rejects(upload.put(2, Buffer.alloc(50)), code('quota_exceeded'))
    await upload.put(1, Buffer.alloc(90))
    await upload.completeAll()
    assert.deepEqual(await session.store.usage(session.bucket), { objects: 1, bytes: 90 })
  })

  test('appends: blobs in the row, then in a page, then segments; copies keep what they had', async () => {
    const session = await Session.open()
    let expected = Buffer.alloc(0)
    const append = async (bytes: Buffer, pieceBytes?: number) => {
      const body = bodyOf(bytes, pieceBytes === undefined ? {} : { pieceBytes })
      const { sizeBytes, etag } = await session.store.append({
        bucket: session.bucket,
        key: 'log',
        body,
        attributes: {},
      })
      expected = Buffer.concat([expected, bytes])
      assert.equal(sizeBytes, expected.length)
      return etag
    }
    const check = async () => {
      assert.ok((await session.read('log')).equals(expected))
      assert.deepEqual((await audit(session.kit)).problems, [])
    }
    const copies: [string, Buffer][] = []
    const copy = async (key: string) => {
      await session.store.copy({
        source: { bucket: session.bucket, key: 'log' },
        bucket: session.bucket,
        key,
      })
      copies.push([key, expected])
    }
    assert.equal(await append(Buffer.from('first')), md5(Buffer.from('first')).toString('hex'))
    assert.match(await append(Buffer.from('second')), /^[0-9a-f]{32}-2$/)
    await append(Buffer.alloc(0))
    for (let i = 0; i < 20; i++) await append(random.bytes(10))
    await check()
    await copy('copy 1')
    for (let i = 0; i < 5; i++) await append(random.bytes(10))
    await check()
    const disperse = crowd(session.kit.load)
    await append(random.bytes(20 * 65_536), 65_536)
    disperse()
    await check()
    await copy('copy 2')
    for (let i = 0; i < 260; i++) await append(random.bytes(7))
    await check()
    for (const [key, bytes] of copies) assert.ok((await session.read(key)).equals(bytes), key)
    await session.store.delete({ bucket: session.bucket, key: 'log' })
    for (const [key, bytes] of copies) assert.ok((await session.read(key)).equals(bytes), key)
  })

  test('many appends at the same time lose nothing; buckets with versions refuse them', async () => {
    const session = await Session.open()
    const texts = Array.from({ length: 60 }, (_, i) => `<${i}>`)
    await Promise.all(
      texts.map((text) =>
        session.store.append({
          bucket: session.bucket,
          key: 'log',
          body: bodyOf(Buffer.from(text)),
          attributes: {},
        }),
      ),
    )
    const found = (await session.read('log')).toString()
    assert.deepEqual(found.match(/<\d+>/g)!.sort(), [...texts].sort())
    session.bucket = await session.store.changeBucket(session.bucket, { versioning: 'enabled' })
    const body = bodyOf(Buffer.from('x'))
    await assert.rejects(
      session.store.append({ bucket: session.bucket, key: 'log', body, attributes: {} }),
      code('conflict'),
    )
  })

  test('equal bytes are kept once in a bucket that deduplicates, also when they come at the same time', async () => {
    const session = await Session.open({ configs: { dedupe: '{}' } })
    const [bytes, large] = [random.bytes(4000), random.bytes(OBJECT_CHUNK_BYTES + 5)]
    await Promise.all(Array.from({ length: 10 }, (_, i) => session.put(`small ${i}`, bytes)))
    await Promise.all(Array.from({ length: 3 }, (_, i) => session.put(`large ${i}`, large)))
    const { named } = await audit(session.kit)
    assert.equal(named, 3)
    for (let i = 0; i < 9; i++) await session.store.delete({ bucket: session.bucket, key: `small ${i}` })
    assert.ok((await session.read('small 9')).equals(bytes))
    assert.ok((await session.read('large 2')).equals(large))
    await session.store.delete({ bucket: session.bucket, key: 'small 9' })
    await session.put('small again', bytes)
    assert.ok((await session.read('small again')).equals(bytes))
    const upload = await session.begin()
    await upload.put(1, bytes)
    await upload.put(2, bytes)
    await upload.completeAll()
    assert.ok((await session.read('key')).equals(Buffer.concat([bytes, bytes])))
    assert.equal((await audit(session.kit)).named, 3)
  })
}
