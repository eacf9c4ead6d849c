import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../base/random.ts'
import { beyondKey, beyondPrefix, keyBytes, rankAt, rankOf, sequencerOf, versionIdOf } from './rows.ts'

test('a version id names its rank, and others than those given out are refused', () => {
  const random = seededRandom(1)
  for (let i = 0; i < 1000; i++) {
    const rank = random.below(2 ** 21) * 2 ** 32 + random.u32()
    const id = versionIdOf(rank)
    assert.match(id, /^[0-9a-f]{32}$/)
    assert.equal(rankOf(id), rank)
    const at = random.below(32)
    const digit = id[at] === '0' ? '1' : '0'
    assert.equal(rankOf(id.slice(0, at) + digit + id.slice(at + 1)), undefined)
  }
  for (const text of [
    '',
    'null',
    'f'.repeat(32),
    '0'.repeat(31),
    versionIdOf(5).toUpperCase(),
    `${versionIdOf(5)} `,
  ])
    assert.equal(rankOf(text), undefined)
})

test('ranks fall with time and with each version, whatever the clock says', () => {
  const first = rankAt(1_800_000_000_000, undefined)
  assert.ok(rankAt(1_800_000_000_001, first) < first - 1)
  assert.equal(rankAt(1_800_000_000_000, first), first - 1)
  assert.equal(rankAt(1_700_000_000_000, first), first - 1)
  assert.ok(sequencerOf(first) < sequencerOf(first - 1))
})

test('the least bytes behind a prefix, and behind a key', () => {
  const prefixes = ['a', 'a/', 'é', '日本', '\u{10ffff}', '\u007f']
  for (const prefix of prefixes) {
    const beyond = beyondPrefix(Buffer.from(prefix))
    for (const more of ['', 'a', '\u{10ffff}']) assert.ok(Buffer.compare(keyBytes(prefix + more), beyond) < 0)
    assert.ok(Buffer.compare(keyBytes(prefix), beyond) < 0)
    assert.ok(!beyond.subarray(0, prefix.length).equals(Buffer.from(prefix)))
  }
  assert.ok(Buffer.compare(keyBytes('\u{10ffff}'), beyondPrefix(Buffer.alloc(0))) < 0)
  const key = keyBytes('a')
  assert.ok(Buffer.compare(beyondKey(key), key) > 0)
  assert.ok(Buffer.compare(beyondKey(key), keyBytes('a\u0000')) <= 0)
})
