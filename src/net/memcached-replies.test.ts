/** Replies of memcached's protocol in pieces of any size, and what is none. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreError } from '../base/errors.ts'
import { MemcachedReplies, type ReplyPart } from './memcached-replies.ts'

const TEXT =
  'STORED\r\nVALUE a 7 5\r\nx\r\nyz\r\nVALUE b 0 0 123\r\n\r\nEND\r\nSTAT pid 1\r\nSERVER_ERROR no\r\n'

function partsOf(text: string, pieceBytes: number): unknown[] {
  const replies = new MemcachedReplies(100)
  const parts: ReplyPart[] = []
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    replies.add(bytes.subarray(at, at + pieceBytes))
    for (let part = replies.next(); part !== undefined; part = replies.next()) parts.push(part)
  }
  return parts.map((part) => (typeof part === 'string' ? part : { ...part, value: part.value.toString() }))
}

test('lines and values, in pieces of any size', () => {
  for (const pieceBytes of [1, 2, 3, 7, 1_000]) {
    assert.deepEqual(partsOf(TEXT, pieceBytes), [
      'STORED',
      { flags: 7, value: 'x\r\nyz', unique: '' },
      { flags: 0, value: '', unique: '123' },
      'END',
      'STAT pid 1',
      'SERVER_ERROR no',
    ])
  }
})

test('what is no reply is refused', () => {
  for (const text of ['VALUE a 0 x\r\n', 'VALUE a 0 101\r\n', 'VALUE a 0 1\r\nab\r\n', 'x'.repeat(70_000)])
    assert.throws(
      () => partsOf(text, 1_000),
      (error) => error instanceof StoreError && error.code === 'io_error',
    )
})
