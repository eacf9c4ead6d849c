/** TTL text, stored bytes and their limits. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreError } from './errors.ts'
import { formatTtl, parseTtl, ttlParts, ttlSeconds } from './ttl.ts'

test('each unit is stored with its byte', () => {
  const stored = { '3m': [3, 1], '4h': [4, 2], '5d': [5, 3], '6w': [6, 4], '7M': [7, 5], '8y': [8, 6] }
  for (const [text, [count, unit]] of Object.entries(stored)) {
    assert.deepEqual(ttlParts(parseTtl(text)), { count, unit }, text)
    assert.equal(formatTtl(parseTtl(text)), text)
  }
})

test('none', () => {
  for (const text of ['', '0', '0m', '0y', '000h']) assert.equal(parseTtl(text), 0, text)
  assert.equal(formatTtl(0), '')
  assert.equal(ttlSeconds(0), 0)
})

test('the largest exact unit is used, else the smallest that holds it, rounded down', () => {
  const expected = {
    '90': '90m',
    '60m': '1h',
    '24h': '1d',
    '7d': '1w',
    '30d': '1M',
    '365d': '1y',
    '14d': '2w',
    '61': '61m',
    '255m': '255m',
    '256m': '4h',
    '301m': '5h',
    '1000m': '16h',
    '256y': undefined,
    '255y': '255y',
    '52w': '52w',
    '256w': '59M',
    '12M': '12M',
  }
  for (const [text, result] of Object.entries(expected)) {
    if (result === undefined) assert.throws(() => parseTtl(text), StoreError)
    else assert.equal(formatTtl(parseTtl(text)), result, text)
  }
})

test('seconds', () => {
  assert.equal(ttlSeconds(parseTtl('3m')), 180)
  assert.equal(ttlSeconds(parseTtl('2M')), 60 * 86_400)
  assert.equal(ttlSeconds(parseTtl('255y')), 255 * 365 * 86_400)
  assert.equal(ttlSeconds((5 << 8) | 9), 0, 'an unknown unit byte is no TTL')
})

test('what is not a TTL is refused with a reason', () => {
  for (const text of ['5s', 'm', 'abc', '-1m', '1.5h', '5 m', '3mm', '1e3', '99999999999m', '5D', '٣m']) {
    assert.throws(
      () => parseTtl(text),
      (error: unknown) =>
        error instanceof StoreError && error.code === 'bad_request' && /ttl/.test(error.message),
      text,
    )
  }
  assert.throws(() => parseTtl('5s'), /unknown unit/)
})
