/** What is kept in memory is what was put last, whatever was put, deleted or dropped beside it, and as much as there is room for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../base/random.ts'
import { HashedCache } from './hashed-cache.ts'

const itemOf = (name: Buffer, version: number, valueBytes: number) => ({
  ...{ name, version, flags: version % 7, expiresMs: version * 2 },
  value: Buffer.alloc(valueBytes, `${version} `),
})
const placeOf = (version: number) => ({
  key: { keyHigh: version, keyLow: 2 ** 32 - version },
  volumeId: version % 3,
})

test('names have what was put last, or nothing', () => {
  const random = seededRandom(5)
  for (const bytesMax of [20_000, 300_000, 10_000_000]) {
    const cache = new HashedCache(bytesMax)
    const last = new Map<string, ReturnType<typeof itemOf>>()
    let found = 0
    for (let version = 1; version <= 20_000; version++) {
      const name = Buffer.from(`name ${random.below(3_000)}`.padEnd(5 + random.below(9)))
      const text = name.toString()
      const kept = cache.get(name)
      if (kept !== undefined) {
        found++
        const { key, volumeId, ...item } = kept
        assert.deepEqual(item, last.get(text))
        assert.deepEqual({ key, volumeId }, placeOf(item.version))
      }
      if (random.below(8) === 0) {
        cache.delete(name)
        last.delete(text)
        assert.equal(cache.get(name), undefined)
      } else if (random.below(2) === 0) {
        const item = itemOf(name, version, random.below(10) === 0 ? 3_000 : random.below(20))
        cache.put(item, placeOf(version))
        last.set(text, item)
      }
    }
    assert.ok(found > 100, `${found} were found`)
    if (bytesMax !== 10_000_000) continue
    for (const [text, item] of last) assert.deepEqual(cache.get(Buffer.from(text))?.value, item.value)
  }
})

test('what is used stays, and memory that replaced values have is used for others', () => {
  const cache = new HashedCache(1_000_000)
  const nameOf = (at: number) => Buffer.from(`n${at}`)
  const put = (at: number, valueBytes = 1_000) =>
    cache.put(itemOf(nameOf(at), at + 1, valueBytes), placeOf(at + 1))
  for (let at = 0; at < 100; at++) put(at)
  for (let at = 100; at < 3_000; at++) {
    put(at)
    for (let used = 0; used < 10; used++) cache.get(nameOf(used))
  }
  for (let used = 0; used < 10; used++) assert.equal(cache.get(nameOf(used))?.version, used + 1)
  assert.equal(cache.get(nameOf(50)), undefined)
  for (let round = 0; round < 100; round++) for (let at = 0; at < 200; at++) put(at, 900 + (round % 3))
  for (let at = 0; at < 200; at++) assert.equal(cache.get(nameOf(at))?.version, at + 1)
})

test('a store without room keeps nothing', () => {
  const cache = new HashedCache(0)
  cache.put(itemOf(Buffer.from('a'), 1, 10), placeOf(1))
  assert.equal(cache.get(Buffer.from('a')), undefined)
})
