/** Buckets that threads remember: a change by one is seen by all, at once. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { systemClock as clock } from '../../src/base/clock.ts'
import { systemRandom as random } from '../../src/base/random.ts'
import type { MetaStore } from '../../src/meta/meta-store.ts'
import { openMetaStore } from '../../src/meta/open-meta-store.ts'
import { BUCKET_CHANGES_BYTES } from '../../src/objects/bucket-memory.ts'
import { Buckets } from '../../src/objects/buckets.ts'

const directory = mkdtempSync(join(tmpdir(), 'cairn-buckets-'))
let meta: MetaStore
before(async () => {
  meta = await openMetaStore(directory, { clock, random })
})
after(async () => {
  await meta.close()
  rmSync(directory, { recursive: true, force: true })
})

test('what one thread changes, another sees with its next look', async () => {
  const changes = new SharedArrayBuffer(BUCKET_CHANGES_BYTES)
  const [one, other] = [0, 1].map(() => new Buckets({ meta, clock, random, changes })) as [Buckets, Buckets]
  assert.equal(await other.find('shared'), undefined)
  const made = await one.create({ name: 'shared', owner: 'root' })
  const seen = await other.find('shared')
  assert.equal(seen?.id, made.id)
  assert.equal(await other.find('shared'), seen, 'remembered')
  await one.change(made, { configs: { policy: 'x' } })
  assert.equal((await other.find('shared'))?.configs.get('policy'), 'x')
  await one.create({ name: 'another', owner: 'root' })
  assert.notEqual(await other.find('shared'), seen)
  await one.delete(made)
  assert.equal(await other.find('shared'), undefined)
  assert.equal(await one.find('shared'), undefined)
})

test('a change that fails makes all look again', async () => {
  const changes = new SharedArrayBuffer(BUCKET_CHANGES_BYTES)
  const buckets = new Buckets({ meta, clock, random, changes })
  await buckets.create({ name: 'twice', owner: 'root' })
  const before = await buckets.find('twice')
  await assert.rejects(buckets.create({ name: 'twice', owner: 'root' }), { code: 'bucket_exists' })
  const after = await buckets.find('twice')
  assert.notEqual(after, before)
  assert.deepEqual(after, before)
})

test('without the shared number nothing is remembered', async () => {
  const buckets = new Buckets({ meta, clock, random })
  await buckets.create({ name: 'plain', owner: 'root' })
  assert.notEqual(await buckets.find('plain'), await buckets.find('plain'))
})
