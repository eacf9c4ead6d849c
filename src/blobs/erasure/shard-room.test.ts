import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomOf } from '../../../test/support/seeds.ts'
import { BLOB_BYTES_MAX } from '../../base/limits.ts'
import { type Shard, ShardCodec } from './packed-shard.ts'
import { ShardRoom, ShardRooms } from './shard-room.ts'

const LAYOUTS = [
  { k: 4, m: 2 },
  { k: 2, m: 1 },
]
const RECORD_HEAD_BYTES = 20
const SIZES = [0, 1, 5, 4_099, 262_144, 1_000_003, 4_194_304, BLOB_BYTES_MAX]

/** As a read puts it there: in the room where there is space, at `shardAt` of a record. */
function putInto(room: ShardRoom, packed: Buffer, shardAt: number): Buffer {
  const memory = room.take(shardAt + packed.length, shardAt)
  assert.ok(memory !== undefined, 'there is room')
  packed.copy(memory, shardAt)
  return memory.subarray(shardAt)
}

for (const layout of LAYOUTS) {
  test(`${layout.k}+${layout.m}: a blob comes from any ${layout.k} shards in a room`, () => {
    const codec = new ShardCodec(layout)
    const rooms = new ShardRooms(layout)
    const random = randomOf(layout.k)
    for (const size of SIZES) {
      const blob = random.bytes(size)
      const packed = codec.pack(blob)
      for (let lost = 0; lost < packed.length; lost++) {
        const other = layout.m > 1 ? (lost + 1 + random.below(packed.length - 1)) % packed.length : lost
        const indexes = [...packed.keys()].filter((index) => index !== lost && index !== other)
        const room = rooms.take()
        const shardAt = random.below(2) * RECORD_HEAD_BYTES
        const shards: Shard[] = indexes
          .slice(0, layout.k)
          .map((index) => codec.unpack(putInto(room, packed[index]!, shardAt), index))
        const pieces = room.join(shards)
        assert.ok(pieces !== undefined && Buffer.concat(pieces).equals(blob), `${size}, ${lost}, ${other}`)
        rooms.giveBack(room)
      }
    }
  })
}

test('shards that lie elsewhere make a blob too, and wrong ones none', () => {
  const codec = new ShardCodec(LAYOUTS[0]!)
  const room = new ShardRoom(LAYOUTS[0]!)
  const blob = randomOf(1).bytes(1_000_000)
  const packed = codec.pack(blob)
  const shardsOf = (change: (bytes: Buffer) => void) =>
    [1, 3, 4, 5].map((index, at) => {
      const own = at === 2 ? Buffer.from(packed[index]!) : putInto(room, packed[index]!, 0)
      if (at === 2) change(own)
      return codec.unpack(own, index)
    })
  assert.deepEqual(Buffer.concat(room.join(shardsOf(() => {}))!), blob)
  room.clear()
  const flip = (bytes: Buffer) => {
    bytes[500] = bytes[500]! ^ 1
  }
  assert.equal(room.join(shardsOf(flip)), undefined)
})

test('a room ends: what does not fit lies elsewhere', () => {
  const room = new ShardRoom(LAYOUTS[0]!)
  assert.equal(room.take(BLOB_BYTES_MAX, 0), undefined)
  const taken = Array.from({ length: 8 }, () => room.take(1_000, 0) !== undefined)
  assert.deepEqual(taken, [true, true, true, true, true, true, true, false])
  room.clear()
  assert.ok(room.take(1_000, 0))
})
