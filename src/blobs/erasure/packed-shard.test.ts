import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomOf, seedsToRun, withSeed } from '../../../test/support/seeds.ts'
import { SHARD_HEAD_BYTES, type Shard, ShardCodec } from './packed-shard.ts'

const codec = () => new ShardCodec({ k: 4, m: 2 })
const unpacked = (codec: ShardCodec, packed: readonly Buffer[]): Shard[] =>
  packed.map((shard, index) => codec.unpack(shard, index))
const without = (shards: readonly Shard[], ...missing: number[]) =>
  shards.map((shard, index) => (missing.includes(index) ? undefined : shard))
const isCorrupt = { code: 'corrupt' }

/** The bytes alone, without the way to give them back. */
function joinedBy(codec: ShardCodec, shards: Parameters<ShardCodec['join']>[0]) {
  const { blob, wrong } = codec.join(shards)
  return { blob: blob.subarray(), wrong }
}

test('a packed shard, byte by byte', () => {
  const packed = codec().pack(Buffer.from('this object will be seperated to 4+2'))
  const head = (index: string) => `e10402${index}000000241732042c76435a70`
  assert.deepEqual(
    packed.map((shard) => shard.toString('hex')),
    [
      `${head('00')}${Buffer.from('this obje').toString('hex')}`,
      `${head('01')}${Buffer.from('ct will b').toString('hex')}`,
      `${head('02')}${Buffer.from('e seperat').toString('hex')}`,
      `${head('03')}${Buffer.from('ed to 4+2').toString('hex')}`,
      `${head('04')}9bb1923ee35abb3a46`,
      `${head('05')}fe60874443d01870da`,
    ],
  )
})

test('a blob comes back from any four of six shards, and its zeros at the end are not stored', () => {
  const six = codec()
  for (const size of [0, 1, 3, 4, 5, 9, 36, 1_021, 4_096, 70_001]) {
    const blob = randomOf(size).bytes(size)
    const packed = six.pack(blob)
    assert.deepEqual(
      packed.map((shard) => shard.length),
      packed.map((_, index) => six.packedBytes(size, index)),
    )
    const dataBytes = packed.slice(0, 4).reduce((sum, shard) => sum + shard.length - SHARD_HEAD_BYTES, 0)
    assert.equal(dataBytes, size)
    const shards = unpacked(six, packed)
    for (let a = 0; a < 6; a++) {
      for (let b = a; b < 6; b++) {
        assert.deepEqual(joinedBy(six, without(shards, a, b)), { blob, wrong: [] })
        assert.deepEqual([...six.pack(blob, [b, a])], [packed[b], packed[a]])
      }
    }
  }
})

test('random blobs, layouts and losses', async () => {
  for (const seed of seedsToRun(20)) {
    await withSeed(seed, (random) => {
      const [k, m] = [1 + random.below(6), 1 + random.below(4)]
      const some = new ShardCodec({ k, m })
      const blob = random.bytes(random.below(20_000))
      const shards = unpacked(some, some.pack(blob))
      const missing = Array.from({ length: m }, () => random.below(k + m))
      assert.deepEqual(joinedBy(some, without(shards, ...missing)), { blob, wrong: [] })
    })
  }
})

test('memory that was given back is used again, and none that was not', () => {
  const six = codec()
  const blob = randomOf(3).bytes(100_000)
  const first = six.pack(blob)
  const second = six.pack(blob)
  first.giveBack?.()
  const third = six.pack(randomOf(4).bytes(100_000))
  assert.equal(third[0]!.buffer, first[0]!.buffer)
  assert.deepEqual(joinedBy(six, unpacked(six, second)), { blob, wrong: [] })
})

test('too few shards are no blob', () => {
  const six = codec()
  const shards = unpacked(six, six.pack(Buffer.from('some bytes')))
  assert.throws(() => six.join(without(shards, 0, 1, 5)), { code: 'unavailable' })
  assert.throws(() => six.join([]), { code: 'unavailable' })
})

test('a shard whose content is wrong though its checksums are right is found', () => {
  const six = codec()
  const blob = randomOf(1).bytes(1_000)
  for (let index = 0; index < 6; index++) {
    const shards = unpacked(six, six.pack(blob))
    shards[index]!.bytes[7]! ^= 1
    const { blob: joined, wrong } = six.join(shards)
    assert.deepEqual(joined, blob)
    // Parity that nobody needed is not looked at.
    assert.deepEqual(wrong, index < 4 ? [index] : [])
    const other = index === 0 ? 1 : 0
    assert.deepEqual(joinedBy(six, without(shards, other)), { blob, wrong: index < 5 ? [index] : [] })
    // Without a spare one nobody can tell which it is, and nothing is given.
    const spares = [0, 1, 2, 3, 4, 5].filter((each) => each !== index).slice(0, 2)
    assert.throws(() => six.join(without(shards, ...spares)), isCorrupt)
  }
})

test('shards of another blob are told by their heads', () => {
  const six = codec()
  const [blob, other] = [Buffer.from('one blob'), Buffer.from('another blob')]
  const [shards, others] = [unpacked(six, six.pack(blob)), unpacked(six, six.pack(other))]
  const mixed = shards.map((shard, index) => (index === 1 || index === 4 ? others[index] : shard))
  assert.deepEqual(joinedBy(six, mixed), { blob, wrong: [1, 4] })
  mixed[2] = others[2]
  assert.throws(() => six.join(mixed), isCorrupt)
})

test('heads and lengths that lie are corrupt', () => {
  const six = codec()
  const packed = six.pack(randomOf(2).bytes(100))
  const changed = (at: number, value: number, index = 1) => {
    const copy = Buffer.from(packed[index]!)
    copy[at] = value
    return copy
  }
  const mistakes: [string, Buffer, RegExp][] = [
    ['an unknown version', changed(0, 0xe2), /version 2/],
    ['something else', changed(0, 0x7b), /does not begin as a shard/],
    ['another k', changed(1, 2), /2\+2/],
    ['another m', changed(2, 1), /4\+1/],
    ['another index', changed(3, 2), /shard 2/],
    ['a longer blob', changed(7, 101), /41 bytes instead of 42/],
    ['a shorter blob', changed(7, 96), /41 bytes instead of 40/],
    ['a huge blob', changed(4, 0xff), /41 bytes instead of/],
    ['a byte less', packed[1]!.subarray(0, -1), /40 bytes instead of 41/],
    ['a byte more', Buffer.concat([packed[1]!, Buffer.alloc(1)]), /42 bytes instead of 41/],
    ['half a head', packed[1]!.subarray(0, 15), /15 bytes/],
    ['nothing', Buffer.alloc(0), /0 bytes/],
  ]
  for (const [what, bytes, message] of mistakes) {
    assert.throws(() => six.unpack(bytes, 1), { ...isCorrupt, message }, what)
  }
  const short = new ShardCodec({ k: 2, m: 1 }).pack(Buffer.alloc(100))
  assert.throws(() => six.unpack(short[0]!, 0), { ...isCorrupt, message: /2\+1/ })
})

test('a flipped bit anywhere gives an error or the right blob', () => {
  const six = codec()
  const blob = randomOf(4).bytes(61)
  const packed = six.pack(blob)
  for (let bit = 0; bit < 8 * packed[0]!.length; bit++) {
    const flipped = Buffer.from(packed[0]!)
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    let first: Shard | undefined
    try {
      first = six.unpack(flipped, 0)
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'corrupt')
    }
    const rest = unpackedRest(six, packed)
    assert.deepEqual(joinedBy(six, [first, ...rest]), { blob, wrong: first === undefined ? [] : [0] })
    if (first !== undefined) assert.throws(() => six.join([first, ...rest.slice(0, 3)]), isCorrupt)
  }
})

test('ranges touch the shards that hold them, and no others', () => {
  const six = codec()
  const blob = randomOf(5).bytes(1_001) // 251 bytes a shard, 248 in the last.
  const shards = unpacked(six, six.pack(blob))
  assert.deepEqual(six.rangesOf(1_001, 250, 252), [
    { index: 0, start: 250, end: 251 },
    { index: 1, start: 0, end: 1 },
  ])
  assert.deepEqual(six.rangesOf(0, 0, 0), [])
  for (const [start, end] of [
    [0, 1_001],
    [0, 1],
    [1_000, 1_001],
    [300, 900],
    [251, 502],
  ] as const) {
    const ranges = six.rangesOf(1_001, start, end)
    const read = ranges.map((range) => shards[range.index]!.bytes.subarray(range.start, range.end))
    assert.deepEqual(Buffer.concat(read), blob.subarray(start, end))
  }
})

function unpackedRest(six: ShardCodec, packed: readonly Buffer[]): Shard[] {
  return packed.slice(1).map((shard, i) => six.unpack(shard, i + 1))
}
