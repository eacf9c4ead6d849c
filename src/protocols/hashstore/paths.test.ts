import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkedText, nameOfPath, pathOfText, textOfPath } from './paths.ts'

test('every path has one text, and it leads back', () => {
  const cases: [Buffer, string][] = [
    [Buffer.from('e:\\图片\\x.gif'), 'e:\\图片\\x.gif'],
    [Buffer.from('100%'), '100%25'],
    [Buffer.from([0x61, 0, 0x62]), 'a%00b'],
    [Buffer.from([0xc4, 0xe3, 0x2e]), '%C4%E3.'],
    [Buffer.from([0xf0, 0x9f, 0x98, 0x80, 0xf0, 0x9f]), '😀%F0%9F'],
    [Buffer.from([0xed, 0xa0, 0x80]), '%ED%A0%80'],
  ]
  for (const [path, text] of cases) {
    assert.equal(textOfPath(path), text)
    assert.deepEqual(pathOfText(text), path)
  }
  for (const text of ['%41', '%', '%zz', '%c4', '%E4%BD%A0'])
    assert.throws(() => pathOfText(text), { code: 'bad_request' })
})

test('the name stands behind the last backslash', () => {
  const names = ['e:\\pics\\x.gif', 'x.gif', 'a/b', 'folder\\'].map((path) =>
    nameOfPath(Buffer.from(path)).toString(),
  )
  assert.deepEqual(names, ['x.gif', 'x.gif', 'a/b', ''])
})

test('paths have a length', () => {
  assert.equal(checkedText('a'), 'a')
  assert.throws(() => checkedText(''), { code: 'bad_request' })
  assert.throws(() => checkedText('%00'.repeat(400)), { code: 'key_too_long' })
})
