/** A server that takes calls and does not answer: the repair of groups does not wait for it again and again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { groupMembers, groupVolume, groupVolumeOf, layoutNamed } from '../../src/base/erasure-id.ts'
import { StoreError } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import type { ClusterClient } from '../../src/blobs/cluster-client.ts'
import { ShardCodec } from '../../src/blobs/erasure/packed-shard.ts'
import { NODE_SILENCE_MS } from '../../src/blobs/erasure/remote-member.ts'
import { ShardRepairer } from '../../src/blobs/shard-repairer.ts'
import { bytesNeedle } from '../../src/disk/needle.ts'
import { HOUR_MS, until } from '../support/planted-flips.ts'
import { RealStore, temporaryDirectory } from '../support/real-store.ts'
import { randomOf } from '../support/seeds.ts'

const GROUPS = [1, 2, 3].map((number) => groupVolume('rs-4-2', number))
const ELSEWHERE = 5
const HURT = 1

/** Three groups, of which shard 5 of each is on a server that says `answer`. */
class Silent {
  readonly #directory = temporaryDirectory()
  readonly #codec = new ShardCodec(layoutNamed('rs-4-2'))
  readonly store = new RealStore(this.#directory.path)
  calls = 0
  /** Groups, in the order of the visits to them. */
  readonly visited: number[] = []
  laterMs = 0
  answer: () => Promise<never> = async () => {
    throw new StoreError('timeout', 'no answer in time')
  }
  readonly repairer: ShardRepairer

  constructor() {
    const clock: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + this.laterMs }
    const postForBytes = () => {
      this.calls++
      return this.answer()
    }
    const other = { url: '127.0.0.1:1', publicUrl: '', nodeId: 'other' }
    this.repairer = new ShardRepairer({
      ...{ volumes: this.store.volumes, keeper: this.store.keeper, nodeId: 'this', clock, log: silentLog },
      find: async (volumeId) => {
        this.visited.push(groupVolumeOf(volumeId))
        return [other]
      },
      ...{ client: { postForBytes } as unknown as ClusterClient },
      ...{ comparePeriodMs: HOUR_MS, keysPerSecondMax: 1e9 },
    })
  }

  static async with(work: (silent: Silent) => Promise<void>): Promise<void> {
    const silent = new Silent()
    try {
      for (const group of GROUPS)
        for (const [shard, id] of groupMembers(group).entries())
          if (shard !== ELSEWHERE) await silent.store.create(id)
      for (const group of GROUPS) await silent.put(group, 1)
      await work(silent)
    } finally {
      await silent.repairer.stop()
      await silent.store.close()
      silent.#directory.remove()
    }
  }

  async put(group: number, keyLow: number, without = ELSEWHERE): Promise<void> {
    const packed = this.#codec.pack(randomOf(keyLow).bytes(3_000))
    for (const [shard, bytes] of packed.entries())
      if (shard !== ELSEWHERE && shard !== without)
        await this.store.volume(group | shard).write(bytesNeedle({ keyHigh: 1, keyLow, cookie: 5 }, bytes))
  }

  has(group: number, keyLow: number): boolean {
    return this.store.volume(group | HURT).index.get(1, keyLow)
  }
}

test('it is asked once, until some time has passed; the others are repaired without it', () =>
  Silent.with(async (silent) => {
    for (const group of GROUPS) await silent.put(group, 2, HURT)
    silent.repairer.start()
    await until(() => GROUPS.every((group) => silent.has(group, 2)), 'all groups are repaired')
    for (const group of GROUPS) await silent.put(group, 3, HURT)
    await until(() => GROUPS.every((group) => silent.has(group, 3)), 'all groups are repaired again')
    assert.equal(silent.calls, 1)
    silent.laterMs += NODE_SILENCE_MS
    await until(() => silent.calls === 2, 'it is asked again')
  }))

test('damage is looked at before groups that are only due', () =>
  Silent.with(async (silent) => {
    let letGo = () => {}
    const gate = new Promise<void>((resolve) => {
      letGo = resolve
    })
    silent.answer = async () => {
      await gate
      throw new StoreError('timeout', 'no answer in time')
    }
    for (const group of GROUPS) await silent.put(group, 2, HURT)
    silent.repairer.start()
    await until(() => silent.calls > 0, 'the first group waits')
    const last = GROUPS.at(-1)!
    silent.repairer.noteLost(last | HURT, { keyHigh: 1, keyLow: 1 })
    letGo()
    await until(() => GROUPS.every((group) => silent.has(group, 2)), 'all groups are repaired')
    assert.deepEqual(silent.visited.slice(0, 2), [GROUPS[0], last])
  }))
