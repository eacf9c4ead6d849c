/** What is kept in memory is what was put last, whatever was put, deleted or dropped beside it, and as much as there is room for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../base/random.ts'
import { HashedCache } from './hashed-cache.ts'

const itemOf = (name: Buffer, version: number, valueBytes: number) => ({
  ...{ name, version, flags: version % 7, touches: version % 2_048, expiresMs: version * 2 },
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

test('an item that needs most of a segment finds room, whatever else is used', () => {
  const cache = new HashedCache(64 * 1024 * 1024)
  const names = Array.from({ length: 128 }, (_, at) => Buffer.from(`used ${at}`))
  for (const [at, name] of names.entries()) cache.put(itemOf(name, at + 1, 450 * 1024), placeOf(at + 1))
  for (const name of names) cache.get(name)
  const large = itemOf(Buffer.from('large'), 200, 600 * 1024)
  cache.put(large, placeOf(200))
  assert.ok(cache.get(large.name)!.value.equals(large.value))
  assert.ok(names.filter((name) => cache.get(name) !== undefined).length > 50)
})

test('items of up to a whole segment among small ones have what was put last, or nothing', () => {
  const random = seededRandom(11)
  for (const segmentBytes of [2_000, 16_000, 128_000]) {
    const cache = new HashedCache(segmentBytes * 16)
    const last = new Map<string, ReturnType<typeof itemOf>>()
    const [smallMax, largeMax] = [segmentBytes / 8, segmentBytes + 100]
    let [found, foundLarge] = [0, 0]
    for (let version = 1; version <= 8_000; version++) {
      const name = Buffer.from(`name ${random.below(40 + (version % 200))}`)
      const kept = cache.get(name)
      if (kept !== undefined) {
        const { key, volumeId, ...item } = kept
        const { value, ...rest } = last.get(name.toString())!
        assert.ok(item.value.equals(value))
        assert.deepEqual({ ...item, value: undefined }, { ...rest, value: undefined })
        assert.deepEqual({ key, volumeId }, placeOf(item.version))
        found++
        if (value.length > segmentBytes / 2) foundLarge++
      }
      if (random.below(3) > 0) continue
      const item = itemOf(name, version, random.below(random.below(4) === 0 ? largeMax : smallMax))
      cache.put(item, placeOf(version))
      last.set(name.toString(), item)
      const fits = 176 + name.length + item.value.length <= segmentBytes
      assert.equal(cache.get(name)?.version, fits ? version : undefined)
    }
    assert.ok(found > 500 && foundLarge > 20, `${found} were found, ${foundLarge} of them large`)
  }
})

test('a store without room keeps nothing', () => {
  const cache = new HashedCache(0)
  cache.put(itemOf(Buffer.from('a'), 1, 10), placeOf(1))
  assert.equal(cache.get(Buffer.from('a')), undefined)
})
