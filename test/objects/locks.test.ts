/** Retention and legal holds: what they forbid, and who may loosen them. */
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import type { NewBucket, ObjectLock } from '../../src/objects/object-store.ts'
import { code, OneBucket } from './objects-kit.ts'

const DAY_MS = 86_400_000
const opened: OneBucket[] = []
const open = async (bucket: Partial<NewBucket> = { objectLock: true }) => {
  const one = await OneBucket.open(bucket)
  opened.push(one)
  return one
}
afterEach(async () => {
  for (const one of opened.splice(0)) await one.kit.close()
})

const setLock = (one: OneBucket, lock: ObjectLock, bypassGovernance = false) =>
  one.store.setLock({ bucket: one.bucket, key: 'k' }, lock, { bypassGovernance })
const remove = (one: OneBucket, versionId: string, bypassGovernance = false) =>
  one.store.delete({ bucket: one.bucket, key: 'k', versionId, bypassGovernance })
const lockNow = async (one: OneBucket) => (await one.store.find(one.bucket, 'k')).info.lock

test('governance yields to those who may bypass it, and to time', async () => {
  const one = await open()
  const untilMs = one.kit.clock.ms + DAY_MS
  const { versionId } = await one.put('k', 'x', { lock: { mode: 'GOVERNANCE', untilMs } })
  assert.deepEqual(await lockNow(one), { mode: 'GOVERNANCE', untilMs })
  await assert.rejects(remove(one, versionId), code('object_locked'))
  await assert.rejects(setLock(one, { mode: 'GOVERNANCE', untilMs: untilMs - 1 }), code('object_locked'))
  await assert.rejects(setLock(one, { mode: 'COMPLIANCE', untilMs }), code('object_locked'))
  await assert.rejects(setLock(one, {}), code('object_locked'))
  await setLock(one, { mode: 'GOVERNANCE', untilMs: untilMs + 1 })
  await setLock(one, { mode: 'GOVERNANCE', untilMs: untilMs - 1 }, true)
  await setLock(one, {}, true)
  assert.deepEqual(await lockNow(one), {})
  await setLock(one, { mode: 'GOVERNANCE', untilMs })
  one.kit.clock.ms = untilMs
  await remove(one, versionId)
})

test('compliance yields to nobody, and is only made longer', async () => {
  const one = await open()
  const untilMs = one.kit.clock.ms + DAY_MS
  const { versionId } = await one.put('k', 'x')
  await setLock(one, { mode: 'COMPLIANCE', untilMs })
  await assert.rejects(remove(one, versionId, true), code('object_locked'))
  await assert.rejects(
    setLock(one, { mode: 'COMPLIANCE', untilMs: untilMs - 1 }, true),
    code('object_locked'),
  )
  await assert.rejects(
    setLock(one, { mode: 'GOVERNANCE', untilMs: untilMs + 1 }, true),
    code('object_locked'),
  )
  await assert.rejects(setLock(one, {}, true), code('object_locked'))
  await setLock(one, { mode: 'COMPLIANCE', untilMs: untilMs + 1 })
  one.kit.clock.ms = untilMs + 1
  await setLock(one, { mode: 'GOVERNANCE', untilMs: untilMs + 2 })
  await remove(one, versionId, true)
})

test('a legal hold is apart from retention', async () => {
  const one = await open()
  const untilMs = one.kit.clock.ms + DAY_MS
  const { versionId } = await one.put('k', 'x', { lock: { mode: 'GOVERNANCE', untilMs, legalHold: true } })
  await assert.rejects(remove(one, versionId, true), code('object_locked'))
  await setLock(one, { legalHold: false })
  assert.deepEqual(await lockNow(one), { mode: 'GOVERNANCE', untilMs, legalHold: false })
  await setLock(one, { legalHold: true })
  await setLock(one, {}, true)
  assert.deepEqual(await lockNow(one), { legalHold: true })
  await assert.rejects(remove(one, versionId, true), code('object_locked'))
})

test('a lock does not forbid new versions or delete markers', async () => {
  const one = await open()
  const untilMs = one.kit.clock.ms + DAY_MS
  const first = await one.put('k', '1', { lock: { mode: 'COMPLIANCE', untilMs } })
  await one.put('k', '2')
  const marker = await one.store.delete({ bucket: one.bucket, key: 'k' })
  assert.equal(marker.isDeleteMarker, true)
  await remove(one, marker.versionId!)
  assert.equal(await one.text('k', first.versionId), '1')
})

test('new versions get the default retention of their bucket, unless they bring their own', async () => {
  const one = await open()
  const change = (text: string) => one.store.changeBucket(one.bucket, { configs: { object_lock: text } })
  await change('{"mode":"GOVERNANCE","days":2}')
  await one.put('k')
  const now = one.kit.clock.ms
  assert.deepEqual(await lockNow(one), { mode: 'GOVERNANCE', untilMs: now + 2 * DAY_MS })
  await one.put('k', 'x', { lock: { legalHold: true } })
  assert.deepEqual(await lockNow(one), { mode: 'GOVERNANCE', untilMs: now + 2 * DAY_MS, legalHold: true })
  await one.put('k', 'x', { lock: { mode: 'COMPLIANCE', untilMs: now + 5 } })
  assert.deepEqual(await lockNow(one), { mode: 'COMPLIANCE', untilMs: now + 5 })
  await change('{"mode":"COMPLIANCE","years":1}')
  await one.store.copy({
    source: { bucket: one.bucket, key: 'k' },
    bucket: one.bucket,
    key: 'k',
    attributes: {},
  })
  assert.deepEqual(await lockNow(one), { mode: 'COMPLIANCE', untilMs: now + 365 * DAY_MS })
  await change('{}')
  await one.put('k')
  assert.deepEqual(await lockNow(one), {})
  for (const text of ['x', '[]', '{"mode":"X","days":1}', '{"mode":"GOVERNANCE"}', '{"days":1}'])
    await assert.rejects(change(text), code('bad_request'))
  await assert.rejects(change('{"mode":"GOVERNANCE","days":1,"years":1}'), code('bad_request'))
})

test('locks need a bucket that has them, and a date in the future', async () => {
  const one = await open({})
  const lock: ObjectLock = { mode: 'GOVERNANCE', untilMs: one.kit.clock.ms + 1 }
  await assert.rejects(one.put('k', 'x', { lock }), code('bad_request'))
  await one.put('k')
  await assert.rejects(setLock(one, lock), code('bad_request'))
  const locked = await open()
  await locked.put('k')
  await assert.rejects(setLock(locked, { ...lock, untilMs: locked.kit.clock.ms }), code('bad_request'))
  await assert.rejects(setLock(locked, { mode: 'GOVERNANCE' }), code('bad_request'))
  await assert.rejects(
    locked.store.changeBucket(locked.bucket, { versioning: 'suspended' }),
    code('conflict'),
  )
})

test('object lock comes to a bucket that keeps versions, and stays', async () => {
  const one = await open({})
  await one.put('k')
  await assert.rejects(one.store.changeBucket(one.bucket, { objectLock: true }), code('conflict'))
  await one.versioning('enabled')
  one.bucket = await one.store.changeBucket(one.bucket, { objectLock: true })
  assert.equal(one.bucket.objectLock, true)
  const untilMs = one.kit.clock.ms + DAY_MS
  await setLock(one, { mode: 'GOVERNANCE', untilMs })
  await assert.rejects(remove(one, 'null'), code('object_locked'))
  await remove(one, 'null', true)
})
