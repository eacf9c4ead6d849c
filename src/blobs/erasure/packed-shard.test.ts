import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ShardCodec } from './packed-shard.ts'

test('a blob comes back from any four of six shards', () => {
  const codec = new ShardCodec({ k: 4, m: 2 })
  for (const size of [0, 1, 3, 4, 5, 36, 1_021, 4_096]) {
    const blob = Buffer.from(Array.from({ length: size }, (_, i) => (i * 7) & 0xff))
    const shards = codec.pack(blob).map((packed, index) => codec.unpack(packed, index))
    for (let a = 0; a < 6; a++) {
      for (let b = a + 1; b < 6; b++) {
        const { blob: joined, wrong } = codec.join(
          shards.map((shard, i) => (i === a || i === b ? undefined : shard)),
        )
        assert.deepEqual(joined, blob)
        assert.deepEqual(wrong, [])
      }
    }
  }
})
