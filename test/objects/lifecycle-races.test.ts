/** Lifecycle rules beside writers: what a pass has seen may be another thing when it comes to remove it. */
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { silentLog } from '../../src/base/log.ts'
import { Lifecycle, type LifecycleStore } from '../../src/objects/lifecycle.ts'
import { DAY_MS, type LifecycleRule } from '../../src/objects/lifecycle-rules.ts'
import type { DeleteRequest } from '../../src/objects/object-store.ts'
import { OneBucket } from './objects-kit.ts'

let one: OneBucket
afterEach(() => one.kit.close())

/** Runs a pass; `meanwhile` happens between the first listing and the removals that follow from it. */
async function pass(
  rule: Partial<LifecycleRule>,
  meanwhile: () => Promise<unknown> = async () => {},
): Promise<Lifecycle['counts']> {
  const rules: LifecycleRule[] = [{ id: 'r', isEnabled: true, prefix: '', tags: [], ...rule }]
  one.bucket = await one.store.changeBucket(one.bucket, { configs: { lifecycle: JSON.stringify(rules) } })
  const { store } = one
  let isLate = false
  const objects: LifecycleStore = {
    listBuckets: (options) => store.listBuckets(options),
    listVersions: (request) => store.listVersions(request),
    listUploads: (request) => store.listUploads(request),
    abortUpload: (upload) => store.abortUpload(upload),
    expireFiles: (bucket, isStopped) => store.expireFiles(bucket, isStopped),
    async deleteMany(requests: readonly DeleteRequest[]) {
      if (!isLate) await meanwhile()
      isLate = true
      return await store.deleteMany(requests)
    },
  }
  const lifecycle = new Lifecycle({ objects, clock: one.kit.clock, log: silentLog, dayMs: DAY_MS })
  await lifecycle.pass()
  assert.equal(lifecycle.counts.failedBuckets, 0)
  return lifecycle.counts
}

const EXPIRED_MARKERS: Partial<LifecycleRule> = { expiration: { expiredDeleteMarker: true } }

test('an object takes the place of a null marker that is about to be removed, and stays', async () => {
  one = await OneBucket.open()
  await one.versioning('suspended')
  await one.put('a', 'one')
  await one.store.delete({ bucket: one.bucket, key: 'a' })
  one.kit.clock.ms += DAY_MS
  const counts = await pass(EXPIRED_MARKERS, () => one.put('a', 'two'))
  assert.equal(counts.refused, 1)
  assert.equal(await one.text('a'), 'two')
})

test('an object takes the place of a null version that is about to be removed, and stays', async () => {
  one = await OneBucket.open()
  await one.put('a', 'old null')
  await one.versioning('enabled')
  await one.put('a', 'newer')
  one.kit.clock.ms += 3 * DAY_MS
  const counts = await pass({ noncurrent: { days: 1, newerKept: 0 } }, async () => {
    await one.versioning('suspended')
    await one.put('a', 'new null')
  })
  assert.equal(counts.refused, 1)
  assert.equal(await one.text('a'), 'new null')
})

test('null and other markers and versions that are still there are removed', async () => {
  one = await OneBucket.open()
  await one.put('null version')
  await one.versioning('enabled')
  for (const key of ['null version', 'version', 'version', 'marker']) await one.put(key)
  await one.store.delete({ bucket: one.bucket, key: 'marker' })
  await one.versioning('suspended')
  await one.store.delete({ bucket: one.bucket, key: 'null marker' })
  one.kit.clock.ms += 3 * DAY_MS
  const rule = { noncurrent: { days: 1, newerKept: 0 }, ...EXPIRED_MARKERS }
  const first = await pass(rule)
  assert.equal(first.refused, 0)
  // The marker is the only one of its key from now on.
  one.kit.clock.ms += 3 * DAY_MS
  const second = await pass(rule)
  assert.equal(second.refused, 0)
  assert.equal(first.removed + second.removed, 5)
  for (const key of ['null version', 'version']) assert.equal((await one.history(key)).length, 1, key)
  for (const key of ['marker', 'null marker']) assert.deepEqual(await one.history(key), [], key)
})
