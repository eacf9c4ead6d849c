/** The needle codec: round trips, every flipped bit, place and volume bound into each record. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../base/random.ts'
import * as codec from './needle.ts'

const SALT = 0x12345678
const TIME = { appendNsHigh: 0x18a1b2c3, appendNsLow: 0xd4e5f607 }

function needle(fields: Partial<codec.NewNeedle> = {}): codec.NewNeedle {
  return {
    keyHigh: 0x01020304,
    keyLow: 0x05060708,
    cookie: 0xcafebabe,
    data: Buffer.from('hello'),
    gzipped: false,
    manifest: false,
    name: undefined,
    mime: undefined,
    lastModifiedS: undefined,
    ttl: 0,
    pairs: undefined,
    ...fields,
  }
}

function encode(given: codec.NewNeedle, offsetUnits = 1): Buffer {
  const record = Buffer.alloc(codec.recordLength(codec.needleSize(given)), 0xee)
  const encoded = codec.encodeNeedle(given, record)
  codec.sealRecord(record, encoded, { seed: codec.recordSeed(SALT, offsetUnits), ...TIME })
  return record
}

const full = {
  name: Buffer.from('名前.txt'),
  mime: Buffer.from('text/plain'),
  lastModifiedS: 19_000_000_000,
  ttl: 0x0304,
  pairs: Buffer.from('{"Owner":"bob"}'),
  gzipped: true,
  manifest: true,
}

for (const [what, given] of Object.entries({
  'one byte': needle({ data: Buffer.from('x') }),
  'all fields': needle(full),
  'two blocks': needle({ ...full, data: seededRandom(1).bytes(70_000) }),
  'above 1 MiB': needle({ ...full, data: seededRandom(2).bytes(1_100_000) }),
  'longest name, mime and pairs': needle({
    name: Buffer.alloc(255, 'n'),
    mime: Buffer.alloc(255, 'm'),
    pairs: Buffer.alloc(65_535, 'p'),
  }),
})) {
  test(`a needle comes back as it was given: ${what}`, () => {
    const record = encode(given, 77)
    assert.equal(record.length % 8, 0)
    const fields = codec.decodeWhole(record, codec.recordSeed(SALT, 77))
    assert.equal(fields.hasTrailer, true)
    for (const name of Object.keys(given) as (keyof codec.NewNeedle)[]) {
      assert.deepEqual(fields.needle[name], given[name], name)
    }
    assert.deepEqual(
      [fields.needle.appendNsHigh, fields.needle.appendNsLow],
      [TIME.appendNsHigh, TIME.appendNsLow],
    )
  })
}

test('a record written in pieces is the same record', () => {
  const given = needle({ ...full, data: seededRandom(3).bytes(1_500_000) })
  const whole = encode(given, 9)
  const frame = Buffer.alloc(whole.length - given.data.length)
  const encoded = codec.encodeNeedle(given, frame, false)
  codec.sealRecord(frame, encoded, { seed: codec.recordSeed(SALT, 9), ...TIME }, given.data.length)
  const head = frame.subarray(0, codec.DATA_OFFSET)
  assert.ok(Buffer.concat([head, given.data, frame.subarray(codec.DATA_OFFSET)]).equals(whole))
})

test('every flipped bit of a record is found, or changes nothing', () => {
  for (const given of [needle(full), needle({ data: Buffer.from('x') })]) {
    const record = encode(given)
    const seed = codec.recordSeed(SALT, 1)
    const whole = codec.decodeWhole(Buffer.from(record), seed)
    const paddingAt = codec.HEADER_BYTES + record.readUInt32BE(12) + codec.TAIL_BYTES
    for (let bit = 0; bit < record.length * 8; bit++) {
      const flipped = Buffer.from(record)
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
      if (bit >> 3 >= paddingAt) assert.deepEqual(codec.decodeWhole(flipped, seed), whole)
      else assert.throws(() => codec.decodeWhole(flipped, seed), { code: 'corrupt' }, `bit ${bit}`)
    }
  }
})

test('a record counts only at its own place and in its own volume', () => {
  const record = encode(needle(full), 5)
  assert.ok(codec.decodeWhole(record, codec.recordSeed(SALT, 5)))
  assert.throws(() => codec.decodeWhole(record, codec.recordSeed(SALT, 6)), { code: 'corrupt' })
  assert.throws(() => codec.decodeWhole(record, codec.recordSeed(SALT + 1, 5)), { code: 'corrupt' })
})

test('delete markers and empty files tell themselves apart', () => {
  const seed = codec.recordSeed(SALT, 4)
  const marker = Buffer.alloc(codec.EMPTY_RECORD_BYTES)
  codec.encodeDeleteMarker(needle(), { seed, ...TIME }, marker)
  const empty = encode(needle({ data: Buffer.alloc(0), name: Buffer.from('dropped') }), 4)
  assert.equal(codec.emptyRecordKind(marker, seed), 'D')
  assert.equal(codec.emptyRecordKind(empty, seed), 'E')
  assert.equal(empty.length, codec.EMPTY_RECORD_BYTES)
  for (let bit = 0; bit < empty.length * 8; bit++) {
    for (const record of [marker, empty]) {
      const flipped = Buffer.from(record)
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
      assert.equal(codec.emptyRecordKind(flipped, seed), undefined)
    }
  }
})

test('the salt can be computed from a record', () => {
  const record = encode(needle({ ...full, data: seededRandom(4).bytes(200_000) }), 31)
  const seed = codec.seedOfRecord(record)
  assert.equal(seed, codec.recordSeed(SALT, 31))
  assert.equal(codec.recordSeed(seed as number, 31), SALT)
  record[100] = (record[100] as number) ^ 1
  assert.equal(codec.seedOfRecord(record), undefined)
})

test('a filler has the length of any hole', () => {
  for (const lengthBytes of [32, 40, 48, 56, 1000, 70_000, 3_000_000]) {
    const hole = seededRandom(lengthBytes).bytes(lengthBytes)
    const seal = { seed: codec.recordSeed(SALT, 2), ...TIME }
    const { head, rest } = codec.encodeFiller(lengthBytes, seal, (start, count) => {
      return codecChecksum(hole.subarray(start, start + count))
    })
    head.copy(hole)
    rest.copy(hole, lengthBytes - rest.length)
    assert.equal(codec.recordLength(hole.readUInt32BE(12)), lengthBytes)
    assert.deepEqual([hole.readUInt32BE(4), hole.readUInt32BE(8)], [0, 0])
    if (lengthBytes > 32) codec.decodeWhole(hole, seal.seed)
  }
})

function codecChecksum(bytes: Buffer): number {
  const given = needle({ data: bytes.length > 0 ? bytes : Buffer.from('-') })
  if (bytes.length === 0) return 0
  return codec.encodeNeedle(given, Buffer.alloc(codec.recordLength(codec.needleSize(given)))).checksum
}

test('what the format cannot hold is refused', () => {
  assert.throws(() => codec.checkNeedle(needle({ name: Buffer.alloc(256) })), { code: 'too_large' })
  assert.throws(() => codec.checkNeedle(needle({ mime: Buffer.alloc(256) })), { code: 'too_large' })
  assert.throws(() => codec.checkNeedle(needle({ pairs: Buffer.alloc(65_536) })), { code: 'too_large' })
  assert.throws(() => codec.checkNeedle(needle({ lastModifiedS: -1 })), { code: 'bad_request' })
  assert.throws(() => codec.checkNeedle(needle({ lastModifiedS: 2 ** 40 })), { code: 'bad_request' })
})
