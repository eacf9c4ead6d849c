/** Blobs in shards, on volumes of this process, of others, and of both: whatever up to m shards suffer, the bytes are right. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { afterEach, describe, test } from 'node:test'
import type { LentPiece } from '../../src/base/piece-buffers.ts'
import type { BlobId } from '../../src/blobs/blob-store.ts'
import { collect } from '../blob-store/blob-store-kit.ts'
import { type ErasureKit, listedIn, startErasure, volumesOf } from './erasure-kit.ts'

const MIB = 1024 * 1024
const kits: ErasureKit[] = []

afterEach(async () => {
  for (const kit of kits.splice(0)) await kit.close()
})

const PLACES: Record<string, (index: number) => boolean> = {
  'in this process': () => true,
  'on other servers': () => false,
  'on this and other servers': (index) => index % 2 === 0,
}

for (const [where, isLocal] of Object.entries(PLACES)) describe(`shards ${where}`, () => suite(isLocal))

function suite(isLocal: (index: number) => boolean): void {
  const start = async (name: 'rs-4-2' | 'rs-2-1' = 'rs-4-2') => {
    const kit = await startErasure(isLocal, name)
    kits.push(kit)
    const store = (data: Buffer) => kit.blobs.write({ data, collection: 'c', redundancy: name })
    return { kit, store }
  }

  test('blobs come back whole and in parts, whatever their length', async () => {
    for (const name of ['rs-4-2', 'rs-2-1'] as const) {
      const { kit, store } = await start(name)
      for (const length of [0, 1, 3, 4, 1000, 70_000, 3 * MIB + 1, 4 * MIB]) {
        const data = randomBytes(length)
        const id = await store(data)
        assert.ok((await kit.blobs.read(id)).equals(data), `${length} bytes`)
        for (const [from, to] of [
          [0, length],
          [1, length - 1],
          [length >> 1, (length >> 1) + 10],
          [(length >> 2) - 3, (length >> 2) + 4],
        ] as const) {
          if (from < 0 || from >= to || to > length) continue
          assert.ok((await collect(kit.blobs.readRange(id, from, to))).equals(data.subarray(from, to)))
        }
      }
    }
  })

  test('any one or two shards may be damaged or gone: the bytes are right, and the shards come back', async () => {
    const { kit, store } = await start()
    for (let a = 0; a < 6; a++) {
      for (let b = a; b < 6; b++) {
        const data = randomBytes(a === b ? 2 * MIB + a : 5000 + b)
        const id = await store(data)
        kit.damage(id, a)
        if (b !== a) kit.damage(id, b)
        const read =
          b % 2 === 0 ? await kit.blobs.read(id) : await collect(kit.blobs.readRange(id, 0, data.length))
        assert.ok(read.equals(data), `shards ${a} and ${b}`)
        await kit.blobs.verify(id, { repair: true })
        for (const index of [a, b]) assert.ok(await kit.has(id, index), `shard ${index} is back`)
        assert.deepEqual(await kit.blobs.verify(id, { repair: false }), {
          sizeBytes: data.length,
          shardsLost: 0,
        })
      }
    }
  })

  test('what a read finds damaged it writes back by itself', async () => {
    const { kit, store } = await start()
    const data = randomBytes(9000)
    const id = await store(data)
    kit.damage(id, 1)
    assert.ok((await kit.blobs.read(id)).equals(data))
    for (let tries = 0; tries < 2_000 && !(await kit.has(id, 1)); tries++)
      await new Promise((resolve) => setTimeout(resolve, 10))
    assert.ok(await kit.has(id, 1))
  })

  test('two volumes may be away, to reads; three are an error that says so', async () => {
    const { kit, store } = await start()
    const [small, large] = [randomBytes(3000), randomBytes(4 * MIB)]
    const ids = [await store(small), await store(large)] as const
    await kit.lose(0)
    await kit.lose(3)
    assert.ok((await kit.blobs.read(ids[0])).equals(small))
    assert.ok(
      (await collect(kit.blobs.readRange(ids[1], 5, 4 * MIB - 5))).equals(large.subarray(5, 4 * MIB - 5)),
    )
    assert.equal((await kit.blobs.locate(ids[0])).size, 4)
    await kit.lose(5)
    await assert.rejects(async () => kit.blobs.read(ids[0]), { code: 'unavailable' })
    await assert.rejects(collect(kit.blobs.readRange(ids[1], 0, 4 * MIB)), { code: 'unavailable' })
  })

  test('large blobs without two volumes, many at a time and in parts, also when readers leave', async () => {
    const { kit, store } = await start()
    const blobs = await Promise.all(
      [4 * MIB, 4 * MIB + 64 * 1024, 3 * MIB + 1].map(async (sizeBytes) => {
        const data = randomBytes(sizeBytes)
        return { data, id: await store(data), sizeBytes }
      }),
    )
    await kit.lose(1)
    await kit.lose(3)
    const readPart = async (at: number) => {
      const { data, id, sizeBytes } = blobs[at % blobs.length]!
      const start = at % 4 === 0 ? 0 : (at * 700_001) % (sizeBytes - 1)
      const end = at % 3 === 0 ? sizeBytes : Math.min(sizeBytes, start + 1 + at * 100_003)
      const taken: Buffer[] = []
      for await (const piece of kit.blobs.readRange(id, start, end, { sizeBytes })) {
        if (at % 5 === 4) return
        taken.push(Buffer.from(piece))
        const lent: LentPiece = piece
        lent.giveBack?.()
      }
      assert.ok(Buffer.concat(taken).equals(data.subarray(start, end)), `${start} to ${end} of ${sizeBytes}`)
    }
    for (let round = 0; round < 3; round++)
      await Promise.all(Array.from({ length: 12 }, (_, at) => readPart(12 * round + at)))
  })

  test('a reader that is wrong about the length gets an error or the right bytes', async () => {
    const { kit, store } = await start()
    const data = randomBytes(3 * MIB)
    const id = await store(data)
    for (const sizeBytes of [3 * MIB - 4, 3 * MIB - 1]) {
      const read = await collect(kit.blobs.readRange(id, MIB - 9, sizeBytes, { sizeBytes }))
      assert.ok(read.equals(data.subarray(MIB - 9, sizeBytes)))
    }
    for (const sizeBytes of [3 * MIB + 1, 4 * MIB]) {
      const read = collect(kit.blobs.readRange(id, 0, sizeBytes, { sizeBytes }))
      await assert.rejects(read, { code: 'corrupt' })
    }
  })

  test('three damaged shards are an error, never other bytes', async () => {
    const { kit, store } = await start()
    const id = await store(randomBytes(9000))
    for (const index of [0, 2, 4]) kit.damage(id, index)
    await assert.rejects(async () => kit.blobs.read(id), { code: 'unavailable' })
  })

  test('a blob is written without one volume, and not without two', async () => {
    const { kit, store } = await start()
    await store(randomBytes(10))
    kit.away.add(2)
    await kit.lose(2)
    const data = randomBytes(5000)
    const id = await store(data)
    assert.equal(await kit.has(id, 2), false)
    assert.ok((await kit.blobs.read(id)).equals(data))
    assert.equal((await kit.blobs.verify(id, { repair: false })).shardsLost, 1)
    kit.away.add(4)
    const more = Array.from({ length: 20 }, () => store(data))
    const ends = await Promise.allSettled(more)
    assert.equal(ends.at(-1)!.status, 'rejected')
  })

  test('what was removed is gone, and no read or repair brings it back', async () => {
    const { kit, store } = await start()
    const data = randomBytes(5000)
    const ids: BlobId[] = []
    for (let i = 0; i < 20; i++) ids.push(await store(data))
    await kit.blobs.remove(ids.slice(0, 10))
    for (const id of ids.slice(0, 10)) {
      await assert.rejects(async () => kit.blobs.read(id), { code: 'not_found' })
      assert.ok((await kit.blobs.read(id, { deleted: true })).equals(data))
      assert.equal(await kit.has(id, 0), false)
    }
    for (const id of ids.slice(10)) assert.ok((await kit.blobs.read(id)).equals(data))
    // As if a removal had reached no more than one volume so far.
    const [half] = ids.slice(10)
    const { store: last, volumeId } = kit.domains[1]!
    last.volumes.get(volumeId)!.remove({ ...half!, volumeId })
    assert.ok((await kit.blobs.read(half!)).equals(data))
    await kit.blobs.verify(half!, { repair: true })
    assert.equal(await kit.has(half!, 1), false)
    await kit.blobs.remove(ids)
    assert.equal(listedIn(kit), 0)
  })

  test('a removal that reaches too few volumes fails', async () => {
    const { kit, store } = await start()
    const id = await store(randomBytes(5000))
    await kit.lose(1)
    await kit.lose(2)
    await assert.rejects(kit.blobs.remove([id]))
  })

  test('each volume lists the blob, with its own length and the id of the group', async () => {
    const { kit, store } = await start()
    const id = await store(randomBytes(5001))
    assert.equal(volumesOf(kit).length, 6)
    if (kit.domains.some(({ server }) => server !== undefined)) return
    for (const { volumeId } of kit.domains) {
      const found = []
      for await (const batch of kit.blobs.list(volumeId, 0)) found.push(...batch)
      assert.deepEqual(
        found.map((each) => [each.id, each.sizeBytes]),
        [[id, 5001]],
      )
    }
  })
}

test('servers that take requests and do not answer are done without', async () => {
  const kit = await startErasure((index) => index !== 1 && index !== 3)
  kits.push(kit)
  const store = (data: Buffer) => kit.blobs.write({ data, collection: 'c', redundancy: 'rs-4-2' })
  const [small, large] = [randomBytes(3000), randomBytes(4 * MIB)]
  const whole = [await store(small), await store(large)] as const
  await kit.hang(1)
  const ids: BlobId[] = []
  // More than the ids that were leased when the server still answered.
  for (let at = 0; at < 40; at++) ids.push(await store(small))
  assert.equal(await kit.has(ids.at(-1)!, 1), false)
  for (const id of [whole[0], ...ids]) assert.ok((await kit.blobs.read(id)).equals(small))
  await kit.hang(3)
  assert.ok((await kit.blobs.read(whole[0])).equals(small))
  assert.ok((await collect(kit.blobs.readRange(whole[1], 9, 4 * MIB))).equals(large.subarray(9)))
})
