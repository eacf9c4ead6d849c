/** A compaction that is not urgent rests between its steps, for a bounded time; one that is does not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import { CompactionPace } from './compaction-pace.ts'

/** Works for 1 s before each pause. Gives how long the pauses were. */
async function restsOf(isUrgent: boolean, mayRest: (step: number) => boolean): Promise<number[]> {
  let nowMs = 0
  const rests: number[] = []
  const clock = {
    ...systemClock,
    monotonicMs: () => nowMs,
    async sleep(ms: number) {
      rests.push(ms)
      nowMs += ms
    },
  }
  const pace = new CompactionPace(clock, isUrgent)
  for (let step = 0; step < 12; step++) {
    nowMs += 1_000
    await pace.pause(mayRest(step))
  }
  assert.equal(pace.workedMs, 12_000)
  return rests
}

test('seven eighths of the time are rest, up to half a minute', async () => {
  assert.deepEqual(await restsOf(false, () => true), [...Array(4).fill(7_000), 2_000, ...Array(7).fill(0)])
  assert.deepEqual(await restsOf(false, (step) => step === 1), [0, 7_000, ...Array(10).fill(0)])
  assert.deepEqual(await restsOf(true, () => true), Array(12).fill(0))
})
