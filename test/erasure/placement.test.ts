/** Where the master puts erasure groups, and what it gives out of them, with volume servers that only count. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { groupMembers, groupVolumeOf, isErasure, layoutOf } from '../../src/base/erasure-id.ts'
import { StoreError } from '../../src/base/errors.ts'
import {
  ASSIGN_WAIT_MS_MAX,
  ERASURE_ASSIGN_WAIT_MS_MAX,
  ERASURE_GROW_RETRY_MS,
} from '../../src/base/limits.ts'
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
  layout: { collection: 'c', replicaPlacement: 0, ttl: 0 },
  redundancy: 'none',
  place: { dataCenter: '', rack: '', dataNode: '' },
}
const CODED: AssignRequest = { ...PLAIN, redundancy: 'rs-4-2' }

function newCluster() {
  const clock = new SimClock()
  const topology = new Topology(clock)
  const creates: { node: string; volume: NewVolume }[] = []
  const deletes: { node: string; id: number }[] = []
  const refusing = new Set<string>()
  /** Servers whose next calls come to nothing in time. */
  const late: string[] = []
  /** How long it takes to make a volume. */
  const slow = { turns: 0 }
  let [volumeId, key, groups] = [0, 1n, 0]
  const state = {
    allocateVolumeId: async (above: number) => {
      volumeId = Math.max(volumeId, above) + 1
      return volumeId
    },
    allocateErasureGroup: async (from: number) => {
      groups = Math.max(groups, from) + 1
      return groups - 1
    },
    leaseKeys: async (count: number, above: bigint) => {
      const first = above > key ? above : key
      key = first + BigInt(count)
      return { first, end: key }
    },
  }
  const calls = {
    create: async ({ url }: { url: string }, volume: NewVolume) => {
      if (refusing.has(url)) throw new StoreError('disk_full', `${url} is full`)
      if (late.includes(url)) {
        late.splice(late.indexOf(url), 1)
        throw new StoreError('timeout', `${url} does not answer`)
      }
      for (let turn = 0; turn < slow.turns; turn++) await clock.sleep(100)
      creates.push({ node: url, volume })
    },
    delete: async ({ url }: { url: string }, id: number) => void deletes.push({ node: url, id }),
  }
  const parts = { topology, state, calls, random: seededRandom(5), log: silentLog }
  const assigner = new Assigner({
    ...{ topology, clock, random: seededRandom(6), warmingUp: () => undefined },
    growth: new VolumeGrowth(parts),
    erasureGrowth: new ErasureGrowth(parts),
    keys: new KeySequence(state, 1000),
  })
  let sequence = 0
  const report = (name: string, paths: string[] = ['/data'], volumes: VolumeInfo[] = []) =>
    topology.takeHeartbeat({
      ...{ protocolVersion: 1, epoch: 1, nodeId: name, bootId: 'boot', sequence: ++sequence },
      ...{ periodMs: 1000, url: name, publicUrl: name, dataCenter: '', rack: '', leaving: false },
      volumeSizeLimitBytes: 1000,
      directories: paths.map((path) => directoryInfo({ path })),
      volumes,
    })
  const leave = (name: string) => {
    const node = topology.findNode(name)!
    for (const id of [...node.volumes.keys()]) topology.volumeGone(node, id)
  }
  return { clock, topology, assigner, creates, deletes, refusing, late, slow, report, leave }
}

const NODES = ['a', 'b', 'c', 'd', 'e', 'f']

test('a group has its six volumes on six servers, and plain ids never come from it', async () => {
  const { assigner, creates, report, topology } = newCluster()
  for (const name of [...NODES, 'g']) report(name)
  const coded = await assigner.assign(CODED)
  assert.equal(creates.length, 6)
  assert.equal(new Set(creates.map(({ node }) => node)).size, 6)
  assert.deepEqual(creates.map(({ volume }) => volume.id).sort(), groupMembers(coded.fid.volumeId))
  assert.equal(layoutOf(coded.fid.volumeId).name, 'rs-4-2')
  const places = new Map(creates.map(({ node, volume }) => [volume.id, node]))
  assert.deepEqual(
    coded.members?.map((node) => node?.url),
    groupMembers(coded.fid.volumeId).map((id) => places.get(id)),
  )
  assert.equal((await assigner.assign(CODED)).fid.volumeId, coded.fid.volumeId)
  const plain = await assigner.assign(PLAIN)
  assert.equal(isErasure(plain.fid.volumeId), false)
  assert.equal(plain.fid.volumeId < 10, true)
  assert.equal(plain.members, undefined)
  assert.equal(topology.maxVolumeId < 10, true)
})

test('one server with six directories is enough, and five are not', async () => {
  const { assigner, creates, report } = newCluster()
  const paths = ['/1', '/2', '/3', '/4', '/5', '/6']
  report('a', paths.slice(1))
  await assert.rejects(assigner.assign(CODED), /No writable rs-4-2 volumes.*6 servers or directories/)
  report('a', paths)
  await assigner.assign(CODED)
  assert.deepEqual(creates.map(({ volume }) => volume.directory).sort(), paths)
})

test('where servers are fewer, each gets as many as the others', async () => {
  const { assigner, creates, report } = newCluster()
  for (const name of ['a', 'b', 'c']) report(name, ['/1', '/2', '/3', '/4'])
  await assigner.assign(CODED)
  const perNode = Object.values(Object.groupBy(creates, ({ node }) => node)).map((each) => each!.length)
  assert.deepEqual(perNode, [2, 2, 2])
  assert.equal(new Set(creates.map(({ node, volume }) => `${node} ${volume.directory}`)).size, 6)
})

test('a group is written without one of its servers, and not without two', async () => {
  const { assigner, report, leave, creates } = newCluster()
  for (const name of NODES) report(name)
  const { fid } = await assigner.assign(CODED)
  leave('b')
  const degraded = await assigner.assign(CODED)
  assert.equal(degraded.fid.volumeId, fid.volumeId)
  assert.equal(degraded.members!.filter((node) => node === undefined).length, 1)
  leave('d')
  const other = await assigner.assign(CODED)
  assert.notEqual(other.fid.volumeId, fid.volumeId)
  assert.equal(creates.length, 12)
})

test('a group that could not be made whole is taken back', async () => {
  const { assigner, report, refusing, deletes, creates, topology } = newCluster()
  for (const name of NODES) report(name)
  refusing.add('c')
  await assert.rejects(assigner.assign(CODED), { code: 'unavailable' })
  assert.equal(creates.length, 5)
  assert.deepEqual(deletes.map(({ id }) => id).sort(), creates.map(({ volume }) => volume.id).sort())
  refusing.clear()
  await assigner.assign(CODED)
  assert.equal(topology.erasureGroups().length, 1)
})

test('many first writes wait for the one group that is being made, however slowly', async () => {
  const { assigner, report, creates, slow, clock } = newCluster()
  for (const name of NODES) report(name)
  slow.turns = 20
  const startMs = clock.monotonicMs()
  const assigned = await Promise.all(Array.from({ length: 200 }, () => assigner.assign(CODED)))
  assert.ok(clock.monotonicMs() - startMs > ASSIGN_WAIT_MS_MAX, 'longer than plain volumes may take')
  assert.equal(creates.length, 6)
  assert.equal(new Set(assigned.map(({ fid }) => fid.volumeId)).size, 1)
  assert.equal(new Set(assigned.map(({ fid }) => `${fid.keyHigh} ${fid.keyLow}`)).size, 200)
  assert.ok(assigned.every(({ members }) => members!.every((node) => node !== undefined)))
})

test('a server that is slow to make its volume is asked again, up to a limit', async () => {
  const { assigner, report, deletes, creates, late } = newCluster()
  for (const name of NODES) report(name)
  late.push('b', 'b', 'e')
  const { fid } = await assigner.assign(CODED)
  assert.equal(creates.length - deletes.length, 6)
  assert.deepEqual(
    creates
      .slice(-6)
      .map(({ volume }) => volume.id)
      .sort(),
    groupMembers(fid.volumeId),
  )

  const other = newCluster()
  for (const name of NODES) other.report(name)
  other.late.push(...new Array<string>(10_000).fill('b'))
  const startMs = other.clock.monotonicMs()
  await assert.rejects(other.assigner.assign(CODED), { code: 'unavailable' })
  assert.ok(other.clock.monotonicMs() - startMs <= ERASURE_ASSIGN_WAIT_MS_MAX + ERASURE_GROW_RETRY_MS)
})

test('groups that servers report are known again, and new ones get numbers above theirs', async () => {
  const { assigner, report, creates, topology } = newCluster()
  const { fid } = await (async () => {
    const other = newCluster()
    for (const name of NODES) other.report(name)
    await other.assigner.assign(CODED)
    return await other.assigner.assign(CODED)
  })()
  for (const [index, name] of NODES.entries()) {
    const id = groupMembers(fid.volumeId)[index]!
    report(name, ['/data'], [volumeInfo({ id, collection: 'c', full: index === 3 })])
  }
  const [known] = topology.erasureGroups()
  assert.ok(known?.members.every((node) => node !== undefined) && !known.isWritable, 'it is full')
  const next = await assigner.assign(CODED)
  assert.notEqual(groupVolumeOf(next.fid.volumeId), fid.volumeId)
  assert.equal(creates.length, 6)
})
