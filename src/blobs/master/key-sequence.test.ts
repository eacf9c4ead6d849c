/** Keys: rising, never twice, above what volumes report, whoever asks at the same time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../base/random.ts'
import type { KeyLease } from '../master-state.ts'
import { KeySequence } from './key-sequence.ts'

function memoryState(skip = 0n) {
  let next = 1n
  const leases: KeyLease[] = []
  return {
    leases,
    async leaseKeys(count: number, above: bigint): Promise<KeyLease> {
      await Promise.resolve()
      const first = (above > next ? above : next) + skip
      next = first + BigInt(count)
      leases.push({ first, end: next })
      return { first, end: next }
    },
  }
}

test('keys follow each other over the ends of blocks', async () => {
  const state = memoryState()
  const keys = new KeySequence(state, 4)
  const taken: bigint[] = []
  for (let i = 0; i < 10; i++) taken.push(await keys.take(1))
  assert.deepEqual(taken, [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n, 10n])
  assert.equal(state.leases.length, 3)
})

test('a row longer than a block, and one across its end', async () => {
  const keys = new KeySequence(memoryState(), 4)
  assert.equal(await keys.take(10), 1n)
  assert.equal(await keys.take(3), 11n)
  assert.equal(await keys.take(3), 14n)
})

test('no promise while the block lasts', async () => {
  const keys = new KeySequence(memoryState(), 4)
  await keys.take(1)
  assert.equal(keys.take(1), 2n)
})

test('raised above a reported key, within the block and beyond it', async () => {
  const keys = new KeySequence(memoryState(), 10)
  await keys.take(1)
  keys.raiseAbove(5n)
  assert.equal(await keys.take(1), 6n)
  keys.raiseAbove(3n)
  assert.equal(await keys.take(1), 7n)
  keys.raiseAbove(2n ** 60n)
  assert.equal(await keys.take(1), 2n ** 60n + 1n)
})

test('raised while a block is being leased', async () => {
  const keys = new KeySequence(memoryState(), 10)
  const first = keys.take(1)
  keys.raiseAbove(1000n)
  assert.ok((await first) > 1000n)
})

test('another master leased in between: the rest of the block is skipped', async () => {
  const keys = new KeySequence(memoryState(100n), 4)
  const taken = [await keys.take(3), await keys.take(3)]
  assert.deepEqual(taken, [101n, 205n])
})

test('many at once, by chance, seeded', async () => {
  const seed = Number(process.env.CAIRN_TEST_SEED ?? 7)
  const random = seededRandom(seed)
  const keys = new KeySequence(memoryState(), 16)
  const rows: { first: bigint; count: number }[] = []
  const takers = Array.from({ length: 200 }, async () => {
    for (let i = 0; i < random.below(4); i++) await Promise.resolve()
    const count = 1 + random.below(24)
    if (random.below(10) === 0) keys.raiseAbove(BigInt(random.below(5000)))
    rows.push({ first: await keys.take(count), count })
  })
  await Promise.all(takers)
  rows.sort((a, b) => (a.first < b.first ? -1 : 1))
  for (let i = 1; i < rows.length; i++) {
    const before = rows[i - 1]!
    assert.ok(before.first + BigInt(before.count) <= rows[i]!.first, `seed ${seed}: rows overlap`)
  }
})

test('a failed lease fails those who wait, and the next try works', async () => {
  const state = memoryState()
  const lease = state.leaseKeys
  let fail = true
  const keys = new KeySequence(
    { leaseKeys: (count, above) => (fail ? Promise.reject(new Error('disk')) : lease(count, above)) },
    4,
  )
  const both = await Promise.allSettled([keys.take(1), keys.take(1)])
  assert.deepEqual(
    both.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  fail = false
  assert.equal(await keys.take(1), 1n)
})
