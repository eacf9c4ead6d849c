import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreError } from './errors.ts'
import { HeavyJobs } from './heavy-jobs.ts'
import { HEAVY_JOBS_MAX, HEAVY_JOBS_WAITING_MAX } from './limits.ts'

test('so many at a time over all who share them, each in its turn, and too many are refused', async () => {
  const shared = new SharedArrayBuffer(4)
  const [here, there] = [new HeavyJobs(shared), new HeavyJobs(shared)]
  let [running, most] = [0, 0]
  const work = async () => {
    most = Math.max(most, ++running)
    await new Promise((resolve) => setImmediate(resolve))
    running--
    return 'done'
  }
  const jobs = Array.from({ length: 100 }, (_, i) => (i % 2 ? here : there).run(work))
  assert.deepEqual(new Set(await Promise.all(jobs)), new Set(['done']))
  assert.equal(most, HEAVY_JOBS_MAX)
  await assert.rejects(
    here.run(() => Promise.reject(new TypeError('failed'))),
    TypeError,
  )
  const many = Array.from({ length: HEAVY_JOBS_WAITING_MAX }, () => here.run(work))
  assert.equal(here.isFull, true)
  await assert.rejects(
    here.run(work),
    (error) => error instanceof StoreError && error.code === 'too_many_requests',
  )
  await Promise.all(many)
})
