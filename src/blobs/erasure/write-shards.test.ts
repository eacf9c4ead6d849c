/** When a write of shards is done, and what the next one makes of volumes that were slow or failed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimClock } from '../../../test/sim/sim-clock.ts'
import { groupVolume, layoutNamed, shardIndexOf } from '../../base/erasure-id.ts'
import { StoreError } from '../../base/errors.ts'
import type { Fid } from '../../base/fid.ts'
import { ERASURE_SHARD_REFUSED_MS, ERASURE_SLOW_SHARD_MS } from '../../base/limits.ts'
import { ShardHealth } from './shard-health.ts'
import type { ShardStore } from './shard-store.ts'
import { writeShards } from './write-shards.ts'

const VOLUME = groupVolume('rs-4-2', 1)
const members = ['a', 'b', 'c', 'd', 'e', 'f']

/** Servers that take shards, some of them only when they are let. */
function newServers() {
  const clock = new SimClock()
  const health = new ShardHealth(clock)
  const slow = new Set<number>()
  const failing = new Set<number>()
  let waiting: (() => void)[] = []
  const tried: number[] = []
  const removed: number[] = []
  const shards = {
    near: () => undefined,
    async write({ volumeId }: Fid) {
      const index = shardIndexOf(volumeId)
      tried.push(index)
      if (failing.has(index)) throw new StoreError('unavailable', 'the server is gone')
      if (slow.has(index)) await new Promise<void>((resolve) => waiting.push(resolve))
    },
    async remove({ volumeId }: Fid) {
      removed.push(shardIndexOf(volumeId))
    },
  } as unknown as ShardStore
  let key = 0
  return {
    ...{ clock, health, slow, failing, removed },
    /** The shards that are tried, and what becomes of the write. */
    write() {
      tried.length = 0
      const fid = { volumeId: VOLUME, keyHigh: 0, keyLow: ++key, cookie: 1 }
      const packed = members.map(() => Buffer.alloc(20))
      const parts = { shards, health, clock, layout: layoutNamed('rs-4-2') }
      return { written: writeShards(parts, { fid, url: 'a', members }, packed), triedNow: () => tried.length }
    },
    letGo() {
      for (const go of waiting.splice(0)) go()
      waiting = []
    },
  }
}

test('one slow volume is waited for a second, and not by the next writes', async () => {
  const { clock, slow, write, letGo } = newServers()
  slow.add(2)
  const first = write()
  assert.equal(first.triedNow(), 6)
  clock.advance(ERASURE_SLOW_SHARD_MS - 1)
  assert.equal(await Promise.race([first.written.then(() => 'done'), settled()]), 'waits')
  clock.advance(1)
  await first.written
  const second = write()
  assert.equal(second.triedNow(), 5)
  await second.written
  letGo()
  clock.advance(ERASURE_SHARD_REFUSED_MS)
  slow.clear()
  const third = write()
  assert.equal(third.triedNow(), 6)
  await third.written
})

test('volumes that were slow one after the other are written to all the same, where otherwise too few are left', async () => {
  const { clock, slow, write, letGo } = newServers()
  slow.add(4)
  const first = write()
  slow.delete(4)
  slow.add(5)
  const second = write()
  await settled()
  clock.advance(ERASURE_SLOW_SHARD_MS)
  await Promise.all([first.written, second.written])
  slow.clear()
  const third = write()
  assert.equal(third.triedNow(), 6)
  await third.written
  letGo()
})

test('of volumes that failed two are too many, and what was written of the blob is taken back', async () => {
  const { failing, removed, write } = newServers()
  failing.add(0)
  const first = write()
  await first.written
  failing.add(1)
  const second = write()
  await assert.rejects(second.written, { code: 'unavailable' })
  assert.deepEqual(removed.sort(), [2, 3, 4, 5])
  const third = write()
  assert.equal(third.triedNow(), 4)
  await assert.rejects(third.written, { code: 'unavailable' })
})

test('a disk that does not give a shard is read last for a while, and written to; one that takes none is left alone', () => {
  const { clock, health } = newServers()
  const failure = new StoreError('io_error', 'i/o error')
  health.noteReadFailure(VOLUME, failure)
  assert.deepEqual([health.isLate(VOLUME), health.isIll(VOLUME)], [true, false])
  health.noteFailure(VOLUME, failure)
  assert.equal(health.isIll(VOLUME), true)
  clock.advance(ERASURE_SHARD_REFUSED_MS)
  assert.deepEqual([health.isLate(VOLUME), health.isIll(VOLUME)], [false, false])
})

const settled = () => new Promise<string>((resolve) => setImmediate(() => resolve('waits')))
