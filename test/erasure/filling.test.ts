/** A member that was made anew is whole only when what it lacks could be known: not for want of answers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { layoutNamed } from '../../src/base/erasure-id.ts'
import { silentLog } from '../../src/base/log.ts'
import type { GroupMember } from '../../src/blobs/erasure/group-member.ts'
import { GroupRepair, noRepairs } from '../../src/blobs/erasure/group-repair.ts'
import { VolumeMember } from '../../src/blobs/erasure/volume-member.ts'
import { randomOf } from '../support/seeds.ts'
import { GROUP, MEMBERS, ShardGroup } from './shard-group.ts'

const HOUR_MS = 3_600_000

/** Shard 0 is this process's, empty and to be filled; the others are reached as those of other servers are. */
class Filling {
  readonly #group: ShardGroup
  readonly repair: GroupRepair
  /** Shards that can be found, and those of them that answer what keys they have. */
  found: number[] = []
  answering: number[] = []
  laterMs = 0

  constructor(group: ShardGroup) {
    this.#group = group
    this.repair = new GroupRepair({
      ...{ group: GROUP, codec: group.codec, counts: noRepairs(), log: silentLog },
      clock: { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + this.laterMs },
      pace: async () => true,
      members: async () => MEMBERS.map((_, shard) => (shard === 0 ? this.own() : this.#other(shard))),
    })
  }

  static async with(work: (filling: Filling) => Promise<void>): Promise<void> {
    const group = await ShardGroup.make(randomOf(1))
    try {
      for (let i = 0; i < 10; i++) await group.put(2_000)
      await group.store.keeper.deleteVolume(MEMBERS[0]!)
      const volume = { id: MEMBERS[0]!, collection: '', replicaPlacement: 0, ttl: 0 }
      await group.store.keeper.createVolume({ ...volume, filling: true })
      await work(new Filling(group))
    } finally {
      await group.close()
    }
  }

  own(): VolumeMember {
    const { store } = this.#group
    return new VolumeMember(store.volume(MEMBERS[0]!), 0, async () => store.keeper.noteFilled(MEMBERS[0]!))
  }

  #other(shard: number): GroupMember | undefined {
    if (!this.found.includes(shard)) return undefined
    const member = new VolumeMember(this.#group.volume(shard), shard)
    return {
      shard,
      keys: async (query) => {
        if (!this.answering.includes(shard)) throw new Error('it takes too long')
        return await member.keys(query)
      },
      newEntries: (from) => member.newEntries(from),
      states: (keys) => member.states(keys),
      data: (keys) => member.data(keys),
    }
  }

  get state() {
    const { keys } = this.own().range({ keyHigh: 0, keyLow: 0 }, 100)
    return { filling: this.own().filling, keys: keys.length }
  }
}

test('while nobody else is found it is not whole, and gets all when they come', () =>
  Filling.with(async (filling) => {
    await filling.repair.visit(HOUR_MS)
    assert.deepEqual(filling.state, { filling: true, keys: 0 })
    filling.found = filling.answering = [1, 2, 3, 4, 5]
    await filling.repair.visit(HOUR_MS)
    assert.deepEqual(filling.state, { filling: false, keys: 10 })
  }))

test('while too few say what they have it is not whole, and they are asked again soon', () =>
  Filling.with(async (filling) => {
    filling.found = [1, 2, 3, 4, 5]
    for (const answering of [[], [1], [1, 3, 5]]) {
      filling.answering = answering
      await filling.repair.visit(HOUR_MS)
      assert.equal(filling.state.filling, true)
      filling.laterMs += 60_000
    }
    filling.answering = filling.found
    await filling.repair.visit(HOUR_MS)
    assert.deepEqual(filling.state, { filling: false, keys: 10 })
  }))

test('as many as are needed to read are enough', () =>
  Filling.with(async (filling) => {
    filling.found = filling.answering = [1, 2, 4, 5]
    assert.equal(filling.found.length, layoutNamed('rs-4-2').k)
    await filling.repair.visit(HOUR_MS)
    assert.deepEqual(filling.state, { filling: false, keys: 10 })
  }))
