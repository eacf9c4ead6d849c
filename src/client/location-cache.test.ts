import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Clock, systemClock } from '../base/clock.ts'
import { LocationCache } from './location-cache.ts'

test('entries are bounded in number and in age, and can be forgotten', () => {
  let nowMs = 0
  const clock: Clock = { ...systemClock, monotonicMs: () => nowMs }
  const cache = new LocationCache({ clock, entriesMax: 2, ttlMs: 100 })
  const at = (url: string) => [{ url, publicUrl: url }]
  cache.set(1, at('a'))
  cache.set(2, at('b'))
  cache.set(1, at('c'))
  cache.set(3, at('d'))
  assert.equal(cache.size, 2)
  assert.equal(cache.get(2), undefined)
  assert.deepEqual(cache.get(1), at('c'))
  cache.forget(1)
  assert.equal(cache.get(1), undefined)
  nowMs = 99
  assert.deepEqual(cache.get(3), at('d'))
  nowMs = 100
  assert.equal(cache.get(3), undefined)
  assert.equal(cache.size, 0)
})
