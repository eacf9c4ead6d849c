import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeadParser } from './fast-head.ts'

const parse = (headers: string) =>
  new HeadParser().parse(Buffer.from(`PUT /x HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n`, 'latin1'))

test('values lose the spaces and tabs around them, and no other byte', () => {
  assert.equal(parse('Content-Length: \t5 \t')?.bodyBytes, 5)
  assert.deepEqual(parse('X-Y:  \xa0a b\xa0\t')?.rawHeaders.slice(2), ['X-Y', '\xa0a b\xa0'])
  assert.deepEqual(parse('X-Y: \t ')?.rawHeaders.slice(2), ['X-Y', ''])
  for (const headers of ['Content-Length: 5\xa0', 'Expect: 100-continue\xa0', 'Connection: \xa0close'])
    assert.equal(parse(headers), undefined, headers)
})
