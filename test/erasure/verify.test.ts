/** Looking at all shards of a blob: also at those that no reader needs, and not for as long as a server that hangs. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { layoutNamed } from '../../src/base/erasure-id.ts'
import { ShardCodec } from '../../src/blobs/erasure/packed-shard.ts'
import { bytesNeedle } from '../../src/disk/needle.ts'
import { startErasure } from './erasure-kit.ts'

test('a shard of other content with a right checksum is found, of data or of parity', async () => {
  const kit = await startErasure((index) => index % 2 === 0)
  try {
    const data = randomBytes(3_000)
    const id = await kit.blobs.write({ data, collection: 'c', redundancy: 'rs-4-2' })
    for (const index of [0, 1, 4, 5]) {
      const other = Buffer.from(new ShardCodec(layoutNamed('rs-4-2')).pack(data)[index]!)
      other[100]! ^= 1
      const { store, volumeId } = kit.domains[index]!
      await store.volume(volumeId).write(bytesNeedle(id, other))
      const lost = async (repair: boolean) => (await kit.blobs.verify(id, { repair })).shardsLost
      assert.deepEqual([await lost(false), await lost(true), await lost(false)], [1, 1, 0], `shard ${index}`)
    }
  } finally {
    await kit.close()
  }
})

test('a server that hangs is not waited for as long as it may take, where others are enough', async () => {
  const kit = await startErasure((index) => index === 0)
  try {
    const data = randomBytes(3_000)
    const id = await kit.blobs.write({ data, collection: 'c', redundancy: 'rs-4-2' })
    await kit.hang(5)
    for (const repair of [false, true]) {
      const verified = await kit.blobs.verify(id, { repair })
      assert.deepEqual(verified, { sizeBytes: 3_000, shardsLost: 1 })
      assert.ok(kit.hanging > 0, 'nobody has given up')
    }
    assert.deepEqual([...(await kit.blobs.locate(id)).keys()], [0, 1, 2, 3, 4])
    assert.ok(kit.hanging > 0)
    const other = Buffer.from(new ShardCodec(layoutNamed('rs-4-2')).pack(data)[1]!)
    other[100]! ^= 1
    const { store, volumeId } = kit.domains[1]!
    await store.volume(volumeId).write(bytesNeedle(id, other))
    assert.ok((await kit.blobs.read(id)).equals(data))
    assert.ok(kit.hanging > 0)
  } finally {
    await kit.close()
  }
})
