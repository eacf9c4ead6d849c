/** What the master does about volumes of erasure groups that are away, with volume servers that only count. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { groupMembers, groupVolume } from '../../src/base/erasure-id.ts'
import { StoreError } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import { seededRandom } from '../../src/base/random.ts'
import { ErasureGrowth } from '../../src/blobs/master/erasure-growth.ts'
import { groupOverviews } from '../../src/blobs/master/group-health.ts'
import { LostMembers } from '../../src/blobs/master/lost-members.ts'
import { Topology } from '../../src/blobs/master/topology.ts'
import type { TopologyNode } from '../../src/blobs/master/topology-node.ts'
import type { NewVolume, VolumeInfo } from '../../src/disk/volume-admin.ts'
import { SimClock } from '../sim/sim-clock.ts'
import { directoryInfo, volumeInfo } from '../support/volume-node.ts'

const GROUP = groupVolume('rs-4-2', 4)
const IDS = groupMembers(GROUP)
const AFTER_MS = 60_000
const SERVERS = ['a', 'b', 'c', 'd', 'e', 'f']

function newCluster() {
  const clock = new SimClock()
  const topology = new Topology(clock)
  const made: { node: string; volume: NewVolume }[] = []
  const removed: string[] = []
  let [sequence, isFull, isStarting] = [0, false, false]
  const calls = {
    create: async ({ url }: { url: string }, volume: NewVolume) => {
      if (isFull) throw new StoreError('disk_full', 'no room')
      made.push({ node: url, volume })
    },
    delete: async () => undefined,
  }
  const state = { allocateErasureGroup: async () => 9 }
  const growth = new ErasureGrowth({ topology, state, calls, random: seededRandom(1), log: silentLog })
  const lost = new LostMembers({
    ...{ topology, growth, clock, log: silentLog, repairAfterMs: AFTER_MS },
    remove: async (node: TopologyNode, id: number) => {
      removed.push(node.url)
      topology.volumeGone(node, id)
    },
    unknowing: () => (isStarting ? 'it starts' : undefined),
  })
  const report = (name: string, volumes: VolumeInfo[], paths: string[] = ['/data']) =>
    topology.takeHeartbeat({
      ...{ protocolVersion: 1, epoch: 1, nodeId: name, bootId: 'boot', sequence: ++sequence },
      ...{ periodMs: 1000, url: name, publicUrl: name, dataCenter: '', rack: '', leaving: false },
      volumeSizeLimitBytes: 1000,
      directories: paths.map((path) => directoryInfo({ path })),
      volumes,
    })
  for (const [i, name] of SERVERS.entries()) report(name, [volumeInfo({ id: IDS[i]! })])
  const later = async (ms: number) => {
    clock.advance(ms)
    await lost.look()
  }
  const set = (change: { isFull?: boolean; isStarting?: boolean }) => {
    isFull = change.isFull ?? isFull
    isStarting = change.isStarting ?? isStarting
  }
  const health = () => groupOverviews(topology).map((each) => `${each.health} ${each.shardsComplete}`)
  return { topology, made, removed, report, later, set, health }
}

test('a volume that is away for long is made anew where its group has none, and filled', async () => {
  const { made, report, later, set, health } = newCluster()
  await later(0)
  assert.deepEqual(health(), ['healthy 6'])
  report('c', [])
  await later(0)
  assert.deepEqual(health(), ['degraded 5'])
  await later(AFTER_MS - 1)
  assert.equal(made.length, 0)
  set({ isStarting: true })
  await later(10)
  assert.equal(made.length, 0, 'a master that has just started knows nothing')
  set({ isStarting: false, isFull: true })
  await later(10)
  set({ isFull: false })
  await later(0)
  assert.equal(made.length, 0, 'after a failure it waits a little')
  await later(10_000)
  assert.deepEqual(
    made.map(({ node, volume }) => [node, volume.id, volume.filling]),
    [['c', IDS[2], true]],
  )
  assert.deepEqual(health(), ['degraded 5'], 'it is not whole before it is filled')
  report('c', [volumeInfo({ id: IDS[2]!, filling: true })])
  await later(10 * AFTER_MS)
  assert.equal(made.length, 1)
  report('c', [volumeInfo({ id: IDS[2]! })])
  assert.deepEqual(health(), ['healthy 6'])
})

test('a volume that comes back in time is left as it is', async () => {
  const { made, report, later } = newCluster()
  report('c', [])
  await later(0)
  await later(AFTER_MS - 1)
  report('c', [volumeInfo({ id: IDS[2]! })])
  await later(1)
  report('c', [])
  await later(AFTER_MS - 1)
  assert.equal(made.length, 0)
})

test('a lost server: its volume waits for one that has none of the group, and what returns later is one too many', async () => {
  const { topology, made, removed, report, later, health } = newCluster()
  report('c', [])
  topology.takeHeartbeat({ ...leaving('c'), sequence: 1_000 })
  await later(0)
  await later(10 * AFTER_MS)
  assert.equal(made.length, 0, 'the five others have one each')
  report('g', [])
  await later(0)
  assert.equal(made[0]?.node, 'g')
  report('g', [volumeInfo({ id: IDS[2]!, filling: true })])
  report('c', [volumeInfo({ id: IDS[2]! })])
  await later(0)
  assert.deepEqual(health(), ['healthy 6'])
  await later(AFTER_MS)
  assert.deepEqual(removed, ['g'], 'the one that has everything stays')
  await later(AFTER_MS)
  assert.deepEqual(removed, ['g'])
})

test('of two copies none is removed that has more than the other, or less, until both are the same', async () => {
  const { removed, report, later } = newCluster()
  const copy = (files: number, more: Partial<VolumeInfo> = {}) => [
    volumeInfo({ id: IDS[2]!, fileCount: files + 3, deleteCount: 3, ...more }),
  ]
  // The old one, which comes back, and the one that was made anew.
  for (const [old, anew] of [
    [copy(5), copy(9)],
    [copy(9), copy(5)],
    [copy(5), copy(6, { filling: true })],
    [copy(5, { filling: true }), copy(9, { filling: true })],
  ] as const) {
    report('c', [...old])
    report('g', [...anew])
    await later(0)
    await later(2 * AFTER_MS)
    assert.deepEqual(removed, [])
  }
  report('c', copy(9))
  report('g', copy(9))
  await later(2 * AFTER_MS)
  assert.equal(removed.length, 1)
})

test('with too few left nothing is made: there is nothing to fill it from', async () => {
  const { made, removed, report, later, health } = newCluster()
  for (const name of ['a', 'b', 'c']) report(name, [])
  report('d', [volumeInfo({ id: IDS[3]!, fileCount: 1 })])
  await later(0)
  assert.deepEqual(health(), ['lost 3'])
  await later(10 * AFTER_MS)
  assert.equal(made.length, 0)
  assert.deepEqual(removed, [], 'what is left may be of use to somebody')
})

test('what is left of a group that was never whole is removed after a while', async () => {
  const { made, removed, report, later, health } = newCluster()
  for (const name of ['a', 'b', 'c']) report(name, [])
  for (const index of [3, 4, 5])
    report(SERVERS[index]!, [volumeInfo({ id: IDS[index]!, fileCount: 0, deleteCount: 0 })])
  await later(AFTER_MS - 1)
  await later(AFTER_MS - 1)
  assert.deepEqual(removed, [])
  await later(1)
  assert.deepEqual(removed, ['d', 'e', 'f'])
  assert.equal(made.length, 0)
  assert.deepEqual(health(), [])
})

function leaving(name: string) {
  return {
    ...{ protocolVersion: 1, epoch: 1, nodeId: name, bootId: 'boot', sequence: 0, periodMs: 1000 },
    ...{ url: name, publicUrl: name, dataCenter: '', rack: '', leaving: true, volumeSizeLimitBytes: 1000 },
    ...{ directories: [], volumes: [] },
  }
}
