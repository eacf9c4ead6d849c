/** However much is wanted at once, so much is in use at most, and everything has its turn. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteBudget } from './byte-budget.ts'
import { systemClock } from './clock.ts'

const turn = () => new Promise<void>((done) => systemClock.soon(done))

test('work waits for its share, in order, and gives it back when it fails', async () => {
  const budget = new ByteBudget(10)
  const begun: number[] = []
  let [used, mostUsed] = [0, 0]
  const run = (at: number, bytes: number) =>
    budget.run(bytes, async () => {
      begun.push(at)
      used += bytes
      mostUsed = Math.max(mostUsed, used)
      await turn()
      used -= bytes
      if (at % 3 === 0) throw new Error('failed')
      return at
    })
  const results = await Promise.allSettled([4, 4, 4, 1, 10, 1, 9, 0, 10].map((bytes, at) => run(at, bytes)))
  assert.deepEqual(
    results.map((each) => each.status === 'fulfilled'),
    [0, 1, 2, 3, 4, 5, 6, 7, 8].map((at) => at % 3 !== 0),
  )
  assert.deepEqual(begun, [0, 1, 2, 3, 4, 5, 6, 7, 8], 'what is small overtakes nothing')
  assert.deepEqual([used, mostUsed], [0, 10])
})

test('what wants more than there is runs alone', async () => {
  const budget = new ByteBudget(10)
  let running = 0
  const run = (bytes: number) =>
    budget.run(bytes, async () => {
      running++
      if (bytes > 10) assert.equal(running, 1)
      await turn()
      running--
    })
  await Promise.all([run(5), run(1_000), run(5), run(2_000)])
})
