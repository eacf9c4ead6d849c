/** The independent reader finds everything in volumes that SeaweedFS itself wrote, and notices damage. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c } from '@node-rs/crc32'
import { checkSeaweedVolume, readSeaweedVolume, recordBytes } from './seaweed-files.ts'

/** One record as SeaweedFS writes it: data, flags, name, tail, padding. */
function record(options: {
  key: bigint
  cookie: number
  data: Buffer
  name?: string
  leftOver?: Buffer
}): Buffer {
  const { data, name = '', leftOver = Buffer.alloc(0) } = options
  const flags = name === '' ? [0] : [2, name.length, ...Buffer.from(name)]
  const size = data.length === 0 ? 0 : 4 + data.length + flags.length + leftOver.length
  const bytes = Buffer.alloc(recordBytes(size))
  bytes.writeUInt32BE(options.cookie, 0)
  bytes.writeBigUInt64BE(options.key, 4)
  bytes.writeUInt32BE(size, 12)
  if (size > 0) {
    bytes.writeUInt32BE(data.length, 16)
    Buffer.concat([data, Buffer.from(flags), leftOver]).copy(bytes, 20)
  }
  bytes.writeUInt32BE(crc32c(data), 16 + size)
  bytes.writeBigUInt64BE(1_790_000_000_000_000_000n, 20 + size)
  return bytes
}

function entry(key: bigint, offset: number, size: number): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeBigUInt64BE(key, 0)
  bytes.writeUInt32BE(offset / 8, 8)
  bytes.writeUInt32BE(size, 12)
  return bytes
}

const SUPER_BLOCK = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0])

function small(): { dat: Buffer; idx: Buffer } {
  const first = record({ key: 1n, cookie: 7, data: Buffer.from('first'), name: 'a' })
  const second = record({ key: 2n, cookie: 8, data: Buffer.from('second'), leftOver: Buffer.from('ignored') })
  const marker = record({ key: 1n, cookie: 7, data: Buffer.alloc(0) })
  const offsets = [8, 8 + first.length, 8 + first.length + second.length]
  return {
    dat: Buffer.concat([SUPER_BLOCK, first, second, marker]),
    idx: Buffer.concat([
      entry(1n, offsets[0]!, first.readUInt32BE(12)),
      entry(2n, offsets[1]!, second.readUInt32BE(12)),
      entry(1n, offsets[2]!, 0xffffffff),
    ]),
  }
}

test('a well-formed volume', () => {
  const { dat, idx } = small()
  const volume = checkSeaweedVolume(dat, idx)
  assert.deepEqual([...volume.liveByIndex.keys()], [2n])
  assert.equal(volume.liveByIndex.get(2n)!.data.toString(), 'second')
  assert.equal(volume.records[0]!.name!.toString(), 'a')
  assert.equal(volume.records[1]!.leftOverBytes, 7)
})

test('what makes SeaweedFS fail is a problem', () => {
  const { dat, idx } = small()
  const broken: Record<string, { dat?: Buffer; idx?: Buffer; expect: RegExp }> = {
    'data flipped': { dat: flipped(dat, 8 + 20), expect: /checksum/ },
    'size flipped': { dat: flipped(dat, 8 + 13), expect: /passes the end/ },
    'torn tail': { dat: dat.subarray(0, dat.length - 8), expect: /passes the end/ },
    'extra size': { dat: flipped(dat, 7), expect: /extra size/ },
    'entry missing': { idx: idx.subarray(16), expect: /sum up/ },
    'last entry missing': { idx: idx.subarray(0, 32), expect: /ends at/ },
    'half an entry': { idx: idx.subarray(0, 40), expect: /multiple of 16/ },
    'entry of another key': { idx: flipped(idx, 7), expect: /has key/ },
    'entry at no record': { idx: flipped(idx, 16 + 11), expect: /no record begins/ },
    'empty index': { idx: Buffer.alloc(0), expect: /empty .idx/ },
  }
  for (const [name, { expect, ...files }] of Object.entries(broken)) {
    assert.throws(() => checkSeaweedVolume(files.dat ?? dat, files.idx ?? idx), expect, name)
  }
})

test('above 1 MiB the tail must also stand behind the last field', () => {
  const data = Buffer.alloc(1024 * 1024, 5)
  const tail = Buffer.alloc(12)
  tail.writeUInt32BE(crc32c(data), 0)
  tail.writeBigUInt64BE(1_790_000_000_000_000_000n, 4)
  const without = Buffer.concat([
    SUPER_BLOCK,
    record({ key: 1n, cookie: 1, data, leftOver: Buffer.from('x'.repeat(20)) }),
  ])
  const copied = Buffer.concat([
    SUPER_BLOCK,
    record({ key: 1n, cookie: 1, data, leftOver: Buffer.concat([tail, Buffer.from('x')]) }),
  ])
  assert.match(readSeaweedVolume(without, undefined).problems.join(), /behind its last field/)
  assert.deepEqual(readSeaweedVolume(copied, undefined).problems, [])
  const plain = Buffer.concat([SUPER_BLOCK, record({ key: 1n, cookie: 1, data })])
  assert.deepEqual(readSeaweedVolume(plain, undefined).problems, [], 'as SeaweedFS itself writes it')
})

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at]! ^= 0x40
  return copy
}
