import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import { ReadPace } from './read-pace.ts'

function paceAt(start: { ms: number }): ReadPace {
  return new ReadPace({ ...systemClock, monotonicMs: () => start.ms })
}

test('a slow read makes the next ones asynchronous, and quick ones do not', () => {
  const now = { ms: 1_000 }
  const pace = paceAt(now)
  const read = (tookMs: number) => {
    const startMs = pace.begin()
    now.ms += tookMs
    return pace.end(startMs)
  }
  assert.equal(read(0.2), true)
  assert.equal(read(4), true)
  assert.equal(pace.isSlow(), false)
  assert.equal(read(20), false)
  let asynchronous = 0
  while (pace.isSlow()) asynchronous++
  assert.equal(asynchronous, 64)
  assert.equal(pace.isSlow(), false)
})

test('a turn lets others run first', async () => {
  const pace = paceAt({ ms: 0 })
  const order: string[] = []
  setImmediate(() => order.push('other'))
  await pace.turn()
  order.push('reader')
  assert.deepEqual(order, ['other', 'reader'])
})
