import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneAhead } from './one-ahead.ts'

/** Counts up to `count`, and notes what is asked for and how it ends. */
async function* counting(count: number, seen: string[], failsAt = 0): AsyncGenerator<number> {
  try {
    for (let at = 1; at <= count; at++) {
      seen.push(`ask ${at}`)
      if (at === failsAt) throw new Error('failed')
      yield at
    }
  } finally {
    seen.push('end')
  }
}

test('the next piece is asked for before one is used', async () => {
  const seen: string[] = []
  for await (const piece of oneAhead(counting(3, seen))) seen.push(`use ${piece}`)
  assert.deepEqual(seen, ['ask 1', 'ask 2', 'use 1', 'ask 3', 'use 2', 'end', 'use 3'])
})

test('a failure comes at its turn, and the source ends', async () => {
  const seen: string[] = []
  const used: number[] = []
  await assert.rejects(async () => {
    for await (const piece of oneAhead(counting(5, seen, 3))) used.push(piece)
  }, /failed/)
  assert.deepEqual(used, [1, 2])
  assert.equal(seen.at(-1), 'end')
})

test('who leaves early ends the source', async () => {
  const seen: string[] = []
  for await (const piece of oneAhead(counting(5, seen))) if (piece === 2) break
  assert.deepEqual(seen, ['ask 1', 'ask 2', 'ask 3', 'end'])
})
