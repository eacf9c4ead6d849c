/** Bodies into blobs and back: every length and edge, broken bodies, bounded memory, contents of chunks and of segments. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { afterEach, test } from 'node:test'
import { StoreError } from '../../src/base/errors.ts'
import { parseFid } from '../../src/base/fid.ts'
import {
  OBJECT_CHUNK_BYTES,
  OBJECT_CHUNK_BYTES_MIN,
  UPLOAD_BYTES_IN_FLIGHT_MAX,
  UPLOAD_CHUNKS_UNSYNCED_MAX,
  UPLOAD_CHUNKS_WRITTEN_MAX,
} from '../../src/base/limits.ts'
import { seededRandom } from '../../src/base/random.ts'
import { query, type Script } from '../../src/meta/meta-store.ts'
import { insertContent } from '../../src/objects/content-steps.ts'
import { packSegments } from '../../src/objects/content-writer.ts'
import type { NewContent } from '../../src/objects/parts.ts'
import { bodyOf, bucket, bytesOf, type ContentKit, crowd, inlineOf, startContent } from './content-kit.ts'

const KIB = 1024
const MIB = 1024 * KIB
const SIZE_MAX = 1024 * MIB
const options = { bucket: bucket(), sizeBytesMax: SIZE_MAX }
const random = seededRandom(7)
const kits: ContentKit[] = []

afterEach(async () => {
  for (const kit of kits.splice(0)) await kit.close()
})

async function start(): Promise<ContentKit> {
  const kit = await startContent()
  kits.push(kit)
  return kit
}

const insert: Script<{ content: NewContent; sizeBytes: number }, null> = {
  name: 'test.insert',
  *steps(args) {
    yield* insertContent({ bucketId: 1, nowMs: 1, ...args })
    return null
  },
}

const failsWith = (code: string) => (error: unknown) => error instanceof StoreError && error.code === code
const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest('hex')

test('bodies of every length come back, with their digests', async () => {
  const { writer, reader, load } = await start()
  const C = OBJECT_CHUNK_BYTES
  for (const length of [0, 1, 65_536, 65_537, MIB, MIB + 1, C - 1, C, C + 1, 2 * C, 2 * C + 7]) {
    const bytes = random.bytes(length)
    for (const [pieceBytes, isSizeKnown] of [
      [undefined, true],
      [65_521, true],
      [65_536, false],
      [length + 1, false],
    ] as const) {
      const body = bodyOf(bytes, { isSizeKnown, ...(pieceBytes === undefined ? {} : { pieceBytes }) })
      const written = await writer.store(body, options)
      const how = `${length} bytes in pieces of ${pieceBytes}`
      assert.equal(written.sizeBytes, length, how)
      assert.equal(written.etag, md5(bytes), how)
      const stored = inlineOf(written.content, length)
      assert.ok((await bytesOf(reader.read(stored, 0, length))).equals(bytes), how)
      const { sha1 } = await reader.digests(stored, ['sha1'])
      assert.equal(sha1!.toString('hex'), createHash('sha1').update(bytes).digest('hex'))
    }
  }
  assert.equal(load.uploads, 0)
  assert.equal(load.bytesInFlight, 0)
})

test('a small object is read at once, without a promise', async () => {
  const { writer, reader } = await start()
  const bytes = random.bytes(3000)
  const { content } = await writer.store(bodyOf(bytes), options)
  const read = reader.read(inlineOf(content, 3000), 10, 20)
  assert.ok(Buffer.isBuffer(read) && read.equals(bytes.subarray(10, 20)))
})

test('a small object that shares its bytes is read at once too', async () => {
  const { writer, reader, meta } = await start()
  const bytes = random.bytes(3000)
  const dedupe = { ...options, bucket: bucket(new Map([['dedupe', '{}']])) }
  const { content } = await writer.store(bodyOf(bytes), dedupe)
  assert.equal(content.kind, 'pages')
  await meta.write(insert, { content, sizeBytes: 3000 })
  for (const [start, end] of [
    [0, 3000],
    [10, 20],
    [2999, 3000],
  ] as const) {
    const read = reader.read(inlineOf(content, 3000), start, end)
    assert.ok(Buffer.isBuffer(read) && read.equals(bytes.subarray(start, end)))
  }
})

test('wrong lengths, bodies that break off and refused checks leave nothing', async () => {
  const { writer, blobs, load } = await start()
  const bytes = random.bytes(9 * MIB)
  const pieceBytes = 64 * KIB
  const short = { ...bodyOf(bytes, { pieceBytes }), sizeBytes: bytes.length + 1 }
  const long = { ...bodyOf(bytes, { pieceBytes }), sizeBytes: bytes.length - 1 }
  await assert.rejects(writer.store(short, options), failsWith('incomplete_body'))
  await assert.rejects(writer.store(long, options), failsWith('incomplete_body'))
  const unknown = () => bodyOf(bytes, { pieceBytes, isSizeKnown: false })
  await assert.rejects(writer.store(unknown(), { ...options, sizeBytesMax: 8 * MIB }), failsWith('too_large'))
  await assert.rejects(
    writer.store(bodyOf(bytes), { ...options, sizeBytesMax: bytes.length - 1 }),
    failsWith('too_large'),
  )
  const broken = bodyOf(bytes, { pieceBytes, breaksOffAt: 8 * MIB + 1 })
  await assert.rejects(writer.store(broken, options), failsWith('incomplete_body'))
  const refuse = () => {
    throw new StoreError('digest_mismatch', 'not the bytes')
  }
  for (const body of [unknown(), bodyOf(bytes.subarray(0, 100))]) {
    const check = { digests: [], verify: refuse }
    await assert.rejects(writer.store(body, { ...options, check }), failsWith('digest_mismatch'))
  }
  assert.equal(blobs.live.size, 0)
  assert.equal(load.uploads, 0)
  assert.equal(load.bytesInFlight, 0)
})

test('a body of one chunk is checked before it is written', async () => {
  const { writer, blobs } = await start()
  let writes = 0
  blobs.beforeWrite = () => void writes++
  const verify = () => {
    throw new StoreError('digest_mismatch', 'not the bytes')
  }
  for (const body of [
    bodyOf(random.bytes(100)),
    bodyOf(random.bytes(OBJECT_CHUNK_BYTES), { pieceBytes: 65_536, isSizeKnown: false }),
  ])
    await assert.rejects(writer.store(body, { ...options, check: { digests: [], verify } }))
  assert.equal(writes, 0)
})

test('a failed write takes back the others; what cannot be removed is left to the collector', async () => {
  const { writer, blobs, load, meta } = await start()
  const body = () => bodyOf(random.bytes(14 * MIB), { pieceBytes: 64 * KIB })
  let writes = 0
  blobs.beforeWrite = () => {
    if (++writes % 3 === 0) throw new StoreError('disk_full', 'no space left')
  }
  await assert.rejects(writer.store(body(), options), failsWith('disk_full'))
  assert.equal(blobs.live.size, 0)
  blobs.beforeRemove = () => {
    throw new StoreError('unavailable', 'the server does not answer')
  }
  await assert.rejects(writer.store(body(), options), failsWith('disk_full'))
  const count: Script<null, number> = {
    name: 'test.count',
    *steps() {
      const rows = yield query('select blobs from garbage')
      return rows.reduce((sum, row) => sum + (row.blobs as Buffer).length / 20, 0)
    },
  }
  assert.ok(blobs.live.size > 0)
  assert.equal(await meta.read(count, null), blobs.live.size)
  assert.equal(load.bytesInFlight, 0)
})

test('memory of an upload is bounded: a slow disk makes the body wait', async () => {
  const { writer, blobs, load } = await start()
  const gates: (() => void)[] = []
  blobs.beforeWrite = () => new Promise<void>((resolve) => gates.push(resolve))
  let [given, most] = [0, 0]
  const piece = random.bytes(64 * KIB)
  const pieces = async function* () {
    for (let i = 0; i < 640; i++) {
      given += piece.length
      most = Math.max(most, load.bytesInFlight)
      yield piece
      // When the writer takes no more, one write may go on.
      if (i % 64 === 63) gates.shift()?.()
    }
  }
  const storing = writer.store({ sizeBytes: undefined, pieces }, options)
  let isOver = false
  storing.finally(() => (isOver = true)).catch(() => {})
  while (!isOver) {
    const before = given
    await new Promise((resolve) => setImmediate(resolve))
    if (given === before) gates.shift()?.()
  }
  const { sizeBytes } = await storing
  assert.equal(sizeBytes, 40 * MIB)
  assert.ok(most <= (UPLOAD_CHUNKS_WRITTEN_MAX + 1) * OBJECT_CHUNK_BYTES, `${most}`)
  assert.ok(blobs.writesAtOnceMax >= UPLOAD_CHUNKS_WRITTEN_MAX)
})

test('an upload goes on while its chunks get durable, up to so many, and is stored when all are', async () => {
  const { writer, blobs, reader, load, meta } = await start()
  const leave = crowd(load)
  const gates: (() => void)[] = []
  blobs.beforeDurable = () => new Promise<void>((resolve) => gates.push(resolve))
  const bytes = random.bytes((2 * UPLOAD_CHUNKS_UNSYNCED_MAX + 3) * OBJECT_CHUNK_BYTES_MIN)
  let stored: Awaited<ReturnType<typeof writer.store>> | undefined
  const storing = writer.store(bodyOf(bytes, { pieceBytes: 10_000 }), options).then((written) => {
    stored = written
  })
  const turns = async () => {
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  for (let left = bytes.length / OBJECT_CHUNK_BYTES_MIN; left > 0; left--) {
    await turns()
    assert.equal(stored, undefined)
    assert.equal(gates.length, Math.min(left, UPLOAD_CHUNKS_UNSYNCED_MAX))
    gates.shift()!()
  }
  await storing
  leave()
  await meta.write(insert, { content: stored!.content, sizeBytes: bytes.length })
  const back = await bytesOf(reader.read(inlineOf(stored!.content, bytes.length), 0, bytes.length))
  assert.ok(back.equals(bytes))
  assert.equal(load.bytesInFlight, 0)
})

test('a chunk that does not get durable fails the upload, which takes the others back', async () => {
  const { writer, blobs, load } = await start()
  let count = 0
  blobs.beforeDurable = () => {
    if (++count === 2) throw new StoreError('io_error', 'the disk does not sync')
  }
  const bytes = random.bytes(5 * OBJECT_CHUNK_BYTES)
  await assert.rejects(writer.store(bodyOf(bytes, { pieceBytes: MIB }), options), failsWith('io_error'))
  assert.equal(blobs.live.size, 1, 'only the one of which nobody knows')
  assert.ok(load.mayHaveOrphans)
  assert.equal(load.bytesInFlight, 0)
})

test('many uploads at a time have small chunks, and together no more than their share', async () => {
  const { load } = await start()
  const entered = Array.from({ length: 2_000 }, () => load.enter())
  assert.equal(entered[0]!.chunkBytes, 4 * MIB)
  assert.ok(entered[30]!.chunkBytes < 4 * MIB)
  assert.equal(entered.at(-1)!.chunkBytes, OBJECT_CHUNK_BYTES_MIN)
  const large = entered.filter(({ chunkBytes }) => chunkBytes > OBJECT_CHUNK_BYTES_MIN)
  assert.ok(large.reduce((sum, { chunkBytes }) => sum + chunkBytes, 0) <= UPLOAD_BYTES_IN_FLIGHT_MAX)
  for (const promise of entered) load.leave(promise)
  const short = Array.from({ length: 400 }, () => load.enter(1_000))
  assert.equal(load.enter().chunkBytes, 4 * MIB, 'short bodies are promised no more than they need')
  assert.equal(load.uploads, short.length + 1)
  const rest = UPLOAD_BYTES_IN_FLIGHT_MAX - load.bytesInFlight
  assert.equal(load.reserve(rest), true)
  assert.equal(load.reserve(OBJECT_CHUNK_BYTES_MIN), false)
  assert.equal(load.enter().chunkBytes, OBJECT_CHUNK_BYTES_MIN, 'everyone has one buffer')
})

/** Small chunks, so that a content has several pages. */
async function storeLong(kit: ContentKit, length: number) {
  const disperse = crowd(kit.load)
  const bytes = random.bytes(length)
  const written = await kit.writer.store(bodyOf(bytes, { pieceBytes: 70_001 }), options)
  disperse()
  assert.equal(written.content.kind, 'pages')
  await kit.meta.write(insert, { content: written.content, sizeBytes: length })
  return { bytes, stored: inlineOf(written.content, length) }
}

test('ranges over chunks and pages, at every edge, read only the blobs that they touch', async () => {
  const kit = await start()
  const chunk = OBJECT_CHUNK_BYTES_MIN
  const page = 256 * chunk
  const length = 2 * page + 3 * chunk + 5
  const { bytes, stored } = await storeLong(kit, length)
  for (const edge of [0, chunk, 2 * chunk, page - chunk, page, page + chunk, 2 * page, length - 5, length]) {
    for (const [from, to] of [
      [edge - 1, edge + 1],
      [edge, edge + 1],
      [edge - 1, edge],
      [edge - chunk, edge],
      [edge - 3, edge + 2 * chunk + 3],
    ] as const) {
      if (from < 0 || to > length) continue
      kit.blobs.reads = 0
      const read = await bytesOf(kit.reader.read(stored, from, to))
      assert.ok(read.equals(bytes.subarray(from, to)), `${from}-${to}`)
      assert.equal(kit.blobs.reads, Math.floor((to - 1) / chunk) - Math.floor(from / chunk) + 1)
    }
  }
  assert.ok((await bytesOf(kit.reader.read(stored, 0, length))).equals(bytes))
  assert.equal((await bytesOf(kit.reader.read(stored, 5, 5))).length, 0)
})

test('ranges over segments, at every edge', async () => {
  const kit = await start()
  const parts = [
    await storeLong(kit, 257 * 65_536 + 9),
    await storeLong(kit, 9 * 65_536),
    await storeLong(kit, 600_001),
  ]
  // More segments than a page has: long ones with short ones between them.
  const segments: { contentId: Buffer; offset: number; sizeBytes: number }[] = []
  const expected: Buffer[] = []
  const edges: number[] = []
  let sizeBytes = 0
  for (let i = 0; i < 300; i++) {
    const { stored, bytes } = parts[i % 3]!
    const from = random.below(bytes.length)
    const to = Math.min(bytes.length, from + 1 + random.below(i % 50 === 0 ? bytes.length : 3000))
    segments.push({ contentId: stored.contentId!, offset: from, sizeBytes: to - from })
    expected.push(bytes.subarray(from, to))
    edges.push(sizeBytes)
    sizeBytes += to - from
  }
  const contentId = Buffer.alloc(16, 9)
  const pages = [packSegments(segments.slice(0, 256)), packSegments(segments.slice(256))]
  await kit.meta.write(insert, {
    content: { kind: 'pages', contentId, entries: 'segments', pages },
    sizeBytes,
  })
  const whole = Buffer.concat(expected)
  const stored = { blobs: undefined, contentId, sizeBytes, encryption: undefined }
  assert.ok((await bytesOf(kit.reader.read(stored, 0, sizeBytes))).equals(whole))
  for (const edge of [0, 1, 2, 49, 50, 51, 255, 256, 257, 299].map((at) => edges[at]!)) {
    for (const [from, to] of [
      [edge - 1, edge + 1],
      [edge, edge + 1],
      [edge - 1, edge],
      [edge - 5000, edge + 90_000],
      [edge, sizeBytes],
    ] as const) {
      if (from < 0 || to > sizeBytes) continue
      const read = await bytesOf(kit.reader.read(stored, from, to))
      assert.ok(read.equals(whole.subarray(from, to)), `${from}-${to}`)
    }
  }
})

test('a reader that began before the removal comes to the end; one that stops early closes what it opened', async () => {
  const kit = await start()
  const { bytes, stored } = await storeLong(kit, 600 * 65_536)
  const read = kit.reader.read(stored, 0, bytes.length)
  assert.ok('pieces' in read)
  const pieces: Buffer[] = []
  for await (const piece of read.pieces()) {
    pieces.push(piece)
    if (pieces.length !== 4) continue
    const ids = [...kit.blobs.live.keys()].map(parseFid)
    assert.ok(ids.length >= 600)
    await kit.blobs.remove(ids)
    const remove: Script<null, null> = {
      name: 'test.remove',
      *steps() {
        yield query('delete from content_page')
        yield query('delete from content')
        return null
      },
    }
    await kit.meta.write(remove, null)
  }
  assert.ok(Buffer.concat(pieces).equals(bytes))
  const again = kit.reader.read(stored, 0, bytes.length)
  await assert.rejects(bytesOf(again), failsWith('unavailable'))
})
