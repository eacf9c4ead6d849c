import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c, crc32cBetween, crc32cShift, joinCrc32c } from './checksum.ts'

test('a piece of any length has the sum of its copy', () => {
  const bytes = Buffer.from(Array.from({ length: 100 }, (_, at) => (at * 37 + 11) & 0xff))
  for (let start = 0; start < 10; start++) {
    for (let end = start; end <= bytes.length; end++) {
      for (const previous of [0, 1, 0xffffffff, 0x9e3779b1]) {
        assert.equal(crc32cBetween(bytes, start, end, previous), crc32c(bytes.subarray(start, end), previous))
      }
    }
  }
})

test('the sum of a whole comes from those of its parts', () => {
  const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, at) => (at * 31 + (at >> 8)) & 0xff))
  for (const cut of [0, 1, 2, 1000, 65_535, 65_536, 69_999, 70_000]) {
    const [a, b] = [bytes.subarray(0, cut), bytes.subarray(cut)]
    assert.equal(joinCrc32c(crc32c(a), crc32c(b), crc32cShift(b.length)), crc32c(bytes))
  }
})
