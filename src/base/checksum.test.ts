import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c, crc32cBetween } from './checksum.ts'

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
