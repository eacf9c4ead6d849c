/** Assign and growth on a clock that the test moves, with volume servers that only count. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreError } from '../../src/base/errors.ts'
import { ASSIGN_WAIT_MS_MAX } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { seededRandom } from '../../src/base/random.ts'
import { Assigner, type AssignRequest } from '../../src/blobs/master/assign.ts'
import { ErasureGrowth } from '../../src/blobs/master/erasure-growth.ts'
import { VolumeGrowth } from '../../src/blobs/master/growth.ts'
import { KeySequence } from '../../src/blobs/master/key-sequence.ts'
import { Topology } from '../../src/blobs/master/topology.ts'
import type { NewVolume, VolumeInfo } from '../../src/disk/volume-admin.ts'
import { SimClock } from '../sim/sim-clock.ts'
import { directoryInfo, volumeInfo } from '../support/volume-node.ts'

const PLAIN: AssignRequest = {
  count: 1,
  growCount: 0,
  layout: { collection: '', replicaPlacement: 0, ttl: 0 },
  redundancy: 'none',
  place: { dataCenter: '', rack: '', dataNode: '' },
}

interface Cluster {
  clock: SimClock
  topology: Topology
  growth: VolumeGrowth
  assigner: Assigner
  /** What was asked of the nodes. */
  creates: { node: string; volume: NewVolume }[]
  /** Decides what a create does; the default succeeds at once. */
  onCreate: { run: (node: string) => Promise<void> }
  join(name: string, options?: { slots?: number; volumes?: VolumeInfo[]; dataCenter?: string }): void
}

function newCluster(warmingUp: () => string | undefined = () => undefined): Cluster {
  const clock = new SimClock()
  const topology = new Topology(clock)
  const creates: Cluster['creates'] = []
  const onCreate = { run: async (_node: string) => {} }
  let [volumeId, key] = [100, 1n]
  let erasureGroups = 0
  const state = {
    allocateErasureGroup: async () => erasureGroups++,
    allocateVolumeId: async (above: number) => {
      volumeId = Math.max(volumeId, above) + 1
      return volumeId
    },
    leaseKeys: async (count: number, above: bigint) => {
      const first = above > key ? above : key
      key = first + BigInt(count)
      return { first, end: key }
    },
  }
  const calls = {
    create: async ({ url }: { url: string }, volume: NewVolume) => {
      creates.push({ node: url, volume })
      await onCreate.run(url)
    },
    delete: async () => {},
  }
  const random = seededRandom(5)
  const growth = new VolumeGrowth({ topology, state, calls, random, log: silentLog })
  const erasureGrowth = new ErasureGrowth({ topology, state, calls, random, log: silentLog })
  const keys = new KeySequence(state, 1000)
  const assigner = new Assigner({
    topology,
    growth,
    erasureGrowth,
    keys,
    clock,
    random,
    warmingUp,
    burstCount: 10,
    burstMs: 50,
  })
  const join: Cluster['join'] = (name, { slots = 10, volumes = [], dataCenter = '' } = {}) => {
    topology.takeHeartbeat({
      protocolVersion: 1,
      epoch: 1,
      nodeId: name,
      bootId: 'boot',
      sequence: 1,
      periodMs: 1000,
      url: name,
      publicUrl: name,
      dataCenter,
      rack: '',
      volumeSizeLimitBytes: 1000,
      leaving: false,
      directories: [directoryInfo({ volumeCountMax: slots, volumeCount: volumes.length })],
      volumes,
    })
  }
  return { clock, topology, growth, assigner, creates, onCreate, join }
}

/** Lets everything that is ready run. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

test('ids stay on one volume for a burst, then move on, and all volumes get their share', async () => {
  const { clock, assigner, join } = newCluster()
  join('a', { volumes: [1, 2, 3, 4].map((id) => volumeInfo({ id })) })
  const volumes: number[] = []
  for (let i = 0; i < 400; i++) volumes.push((await assigner.assign(PLAIN)).fid.volumeId)
  for (let i = 0; i < 400; i += 10) assert.equal(new Set(volumes.slice(i, i + 10)).size, 1)
  for (const id of [1, 2, 3, 4]) assert.equal(volumes.filter((each) => each === id).length, 100)
  const before = (await assigner.assign(PLAIN)).fid.volumeId
  clock.advance(60)
  assert.notEqual((await assigner.assign(PLAIN)).fid.volumeId, before)
})

test('keys rise, a count takes a row of them, cookies differ', async () => {
  const { assigner, join } = newCluster()
  join('a', { volumes: [volumeInfo({ id: 1 })] })
  const one = await assigner.assign(PLAIN)
  const row = await assigner.assign({ ...PLAIN, count: 2500 })
  const next = await assigner.assign(PLAIN)
  assert.deepEqual([one.fid.keyLow, row.fid.keyLow, next.fid.keyLow], [1, 2, 2502])
  assert.equal(row.count, 2500)
  assert.notEqual(one.fid.cookie, next.fid.cookie)
})

test('a burst goes on when something else changes, and ends when its volume may not be written', async () => {
  const { assigner, topology, join } = newCluster()
  join('a', { volumes: [1, 2, 3].map((id) => volumeInfo({ id })) })
  const first = (await assigner.assign(PLAIN)).fid.volumeId
  join('b', { volumes: [volumeInfo({ id: 9 })] })
  assert.equal((await assigner.assign(PLAIN)).fid.volumeId, first)
  topology.volumeGone(topology.lookup(first)[0]!, first)
  assert.notEqual((await assigner.assign(PLAIN)).fid.volumeId, first)
})

test('the first assign makes two volumes, on two nodes when there are', async () => {
  const { assigner, creates, join } = newCluster()
  join('a')
  join('b')
  const { node, fid } = await assigner.assign(PLAIN)
  assert.deepEqual(creates.map((each) => each.node).sort(), ['a', 'b'])
  assert.ok(creates.some(({ volume }) => volume.id === fid.volumeId))
  assert.ok(['a', 'b'].includes(node.url))
})

test('growth takes no more than the room there is, and an asked count', async () => {
  const small = newCluster()
  small.join('a', { slots: 1 })
  await small.assigner.assign(PLAIN)
  assert.equal(small.creates.length, 1)
  const asked = newCluster()
  asked.join('a')
  await asked.assigner.assign({ ...PLAIN, growCount: 5 })
  assert.equal(asked.creates.length, 5)
})

test('volumes go to nodes in proportion to their room', async () => {
  const { growth, creates, join } = newCluster()
  join('big', { slots: 90 })
  join('small', { slots: 10 })
  for (let i = 0; i < 60; i++) await growth.grow({ layout: PLAIN.layout, place: PLAIN.place, count: 1 })
  const small = creates.filter(({ node }) => node === 'small').length
  assert.ok(small >= 1 && small <= 10, `${small} on the small node`)
})

test('assigns that wait share one growth, also the last that the room allows', async () => {
  const { assigner, creates, onCreate, join } = newCluster()
  join('a', { slots: 2 })
  const gate = Promise.withResolvers<void>()
  onCreate.run = () => gate.promise
  const waiting = Array.from({ length: 50 }, () => assigner.assign(PLAIN))
  await settle()
  waiting.push(assigner.assign(PLAIN))
  gate.resolve()
  await Promise.all(waiting)
  assert.equal(creates.length, 2)
})

test('growth that takes too long is "try again", and done in the background', async () => {
  const { clock, assigner, onCreate, join } = newCluster()
  join('a')
  const gate = Promise.withResolvers<void>()
  onCreate.run = () => gate.promise
  const waiting = assigner.assign(PLAIN)
  await settle()
  clock.advance(ASSIGN_WAIT_MS_MAX + 1)
  await assert.rejects(waiting, { code: 'unavailable' })
  gate.resolve()
  await settle()
  await assigner.assign(PLAIN)
})

test('no room', async () => {
  const { assigner, join } = newCluster()
  join('a', { slots: 1, volumes: [volumeInfo({ id: 1, full: true })] })
  await assert.rejects(assigner.assign(PLAIN), {
    code: 'no_writable_volume',
    message:
      'No writable volumes and no free volumes left for {"collection":"","replication":"000","ttl":""}',
  })
})

test('room elsewhere does not help a request that names its place', async () => {
  const { assigner, creates, join } = newCluster()
  join('a', { slots: 0, dataCenter: 'x' })
  join('b', { dataCenter: 'y' })
  const place = { dataCenter: 'x', rack: '', dataNode: '' }
  await assert.rejects(assigner.assign({ ...PLAIN, place }), { code: 'no_writable_volume' })
  const unknown = { dataCenter: 'z', rack: '', dataNode: '' }
  await assert.rejects(assigner.assign({ ...PLAIN, place: unknown }), { code: 'bad_request' })
  assert.equal(creates.length, 0)
  const { node } = await assigner.assign({ ...PLAIN, place: { dataCenter: 'y', rack: '', dataNode: '' } })
  assert.equal(node.url, 'b')
})

test('a node that cannot make a volume is passed over', async () => {
  const { assigner, creates, onCreate, join } = newCluster()
  join('good', { slots: 3 })
  join('bad', { slots: 30 })
  onCreate.run = async (node) => {
    if (node === 'bad') throw new StoreError('disk_full', 'no space')
  }
  const { node } = await assigner.assign(PLAIN)
  assert.equal(node.url, 'good')
  assert.equal(creates.filter((each) => each.node === 'good').length, 2)
  const onlyBad = { dataCenter: '', rack: '', dataNode: 'bad' }
  await assert.rejects(assigner.assign({ ...PLAIN, place: onlyBad }), {
    code: 'unavailable',
    message: /no space/,
  })
})

test('while warming up, what is known is given and nothing is grown', async () => {
  const { assigner, creates, join } = newCluster(() => 'still learning')
  await assert.rejects(assigner.assign(PLAIN), { code: 'unavailable', message: 'still learning' })
  join('a', { volumes: [volumeInfo({ id: 1 })] })
  assert.equal((await assigner.assign(PLAIN)).fid.volumeId, 1)
  const other = { ...PLAIN, layout: { ...PLAIN.layout, collection: 'c' } }
  await assert.rejects(assigner.assign(other), { code: 'unavailable', message: 'still learning' })
  assert.equal(creates.length, 0)
})
