/** Membership, locations and what may be written, on a clock that the test moves. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DISK_FREE_BYTES_MIN } from '../../src/base/limits.ts'
import type { Heartbeat } from '../../src/blobs/cluster-wire.ts'
import { idRanges } from '../../src/blobs/master/status.ts'
import { type Layout, type Place, Topology } from '../../src/blobs/master/topology.ts'
import { freeSlots } from '../../src/blobs/master/topology-node.ts'
import type { VolumeInfo } from '../../src/disk/volume-admin.ts'
import { SimClock } from '../sim/sim-clock.ts'
import { directoryInfo, volumeInfo } from '../support/volume-node.ts'

const PLAIN: Layout = { collection: '', replicaPlacement: 0, ttl: 0 }
const ANYWHERE: Place = { dataCenter: '', rack: '', dataNode: '' }

function heartbeat(name: string, fields: Partial<Heartbeat> = {}): Heartbeat {
  return {
    protocolVersion: 1,
    epoch: 1,
    nodeId: `00000000-0000-4000-8000-${name.padStart(12, '0')}`,
    bootId: 'boot 1',
    sequence: 1,
    periodMs: 1000,
    url: `${name}:8080`,
    publicUrl: `${name}.example:80`,
    dataCenter: '',
    rack: '',
    volumeSizeLimitBytes: 1000,
    leaving: false,
    directories: [directoryInfo()],
    volumes: [],
    ...fields,
  }
}

function newTopology() {
  const clock = new SimClock()
  return { clock, topology: new Topology(clock) }
}

function writableIds(topology: Topology, layout = PLAIN, place = ANYWHERE): number[] {
  return topology.writable(layout, place).map(({ volumeId }) => volumeId)
}

test('a node joins with its volumes, and its later state replaces the earlier', () => {
  const { topology } = newTopology()
  const volumes = [volumeInfo({ id: 1 }), volumeInfo({ id: 2, collection: 'c' })]
  assert.equal(topology.takeHeartbeat(heartbeat('a', { volumes })), 'joined')
  assert.equal(topology.lookup(1)[0]?.url, 'a:8080')
  assert.equal(topology.lookup(2, 'c').length, 1)
  assert.equal(topology.lookup(2, 'd').length, 0)
  assert.equal(topology.lookup(3).length, 0)
  assert.deepEqual(writableIds(topology), [1])
  assert.equal(topology.takeHeartbeat(heartbeat('a', { sequence: 2, volumes: volumes.slice(1) })), 'updated')
  assert.equal(topology.lookup(1).length, 0)
  assert.deepEqual(writableIds(topology), [])
  assert.equal(topology.nodes()[0]!.dataCenter, 'DefaultDataCenter')
  assert.equal(topology.nodes()[0]!.rack, 'DefaultRack')
})

test('late messages of this boot and of past boots change nothing', () => {
  const { topology } = newTopology()
  const volumes = [volumeInfo({ id: 1 })]
  topology.takeHeartbeat(heartbeat('a', { sequence: 5 }))
  assert.equal(topology.takeHeartbeat(heartbeat('a', { sequence: 4, volumes })), 'late')
  assert.equal(topology.takeHeartbeat(heartbeat('a', { sequence: 5, volumes })), 'late')
  assert.equal(topology.takeHeartbeat(heartbeat('a', { bootId: 'boot 2', sequence: 1 })), 'updated')
  assert.equal(topology.takeHeartbeat(heartbeat('a', { sequence: 9, volumes })), 'late')
  assert.equal(topology.takeHeartbeat(heartbeat('a', { sequence: 9, leaving: true })), 'late')
  assert.equal(topology.lookup(1).length, 0)
})

test('a node is out after five of its own periods, and back with its next heartbeat', () => {
  const { clock, topology } = newTopology()
  topology.takeHeartbeat(heartbeat('a', { volumes: [volumeInfo({ id: 1 })] }))
  topology.takeHeartbeat(heartbeat('b', { periodMs: 10_000, volumes: [volumeInfo({ id: 2 })] }))
  const expire = (ms: number) => {
    const out: string[] = []
    for (let passed = 0; passed < ms; passed += 500) {
      clock.advance(500)
      out.push(...topology.expire(500).map((node) => node.url))
    }
    return out
  }
  assert.deepEqual(expire(5000), [])
  assert.deepEqual(writableIds(topology), [1, 2])
  assert.deepEqual(expire(1000), ['a:8080'])
  assert.deepEqual(writableIds(topology), [2])
  assert.equal(topology.lookup(1).length, 0)
  assert.equal(
    topology.takeHeartbeat(heartbeat('a', { sequence: 2, volumes: [volumeInfo({ id: 1 })] })),
    'joined',
  )
  assert.deepEqual(writableIds(topology), [1, 2])
})

test('when the master itself stood still, no node is blamed', () => {
  const { clock, topology } = newTopology()
  topology.takeHeartbeat(heartbeat('a'))
  clock.advance(60_000)
  assert.deepEqual(topology.expire(500), [])
  assert.equal(topology.nodeCount, 1)
})

test('a master that is a little late each time still takes out who is silent, in time', () => {
  const { clock, topology } = newTopology()
  topology.takeHeartbeat(heartbeat('a', { periodMs: 2_000 }))
  for (let i = 0; i < 20; i++) {
    clock.advance(600)
    topology.expire(250)
  }
  assert.equal(topology.nodeCount, 0, 'silent for 12 s of the 10 it may be')
})

test('leaving takes a node out at once', () => {
  const { topology } = newTopology()
  topology.takeHeartbeat(heartbeat('a', { volumes: [volumeInfo({ id: 1 })] }))
  assert.equal(topology.takeHeartbeat(heartbeat('a', { sequence: 2, leaving: true })), 'left')
  assert.equal(topology.nodeCount, 0)
  assert.equal(topology.lookup(1).length, 0)
  assert.equal(topology.takeHeartbeat(heartbeat('z', { leaving: true })), 'left')
})

test('one id or address, two live processes: the second is refused until the first is out', () => {
  const { clock, topology } = newTopology()
  topology.takeHeartbeat(heartbeat('a'))
  const moved = heartbeat('a', { bootId: 'boot 2', url: 'elsewhere:1' })
  assert.throws(() => topology.takeHeartbeat(moved), {
    code: 'conflict',
    message: /is its data directory a copy/,
  })
  assert.throws(() => topology.takeHeartbeat(heartbeat('b', { url: 'a:8080' })), { code: 'conflict' })
  for (let i = 0; i < 12; i++) {
    clock.advance(500)
    topology.expire(500)
  }
  assert.equal(topology.takeHeartbeat(moved), 'joined')
})

test('what may not be written', () => {
  const { topology } = newTopology()
  const variants: Partial<VolumeInfo>[] = [
    { readOnly: true },
    { full: true },
    { failed: true },
    { diskFull: true },
    { maxKeyHigh: 0xffffffff, maxKeyLow: 0xffffffff },
    { directory: '/failed' },
    { replicaPlacement: 1 },
    { ttl: 0x0301 },
    { collection: 'c' },
    {},
  ]
  const directories = [directoryInfo(), directoryInfo({ path: '/failed', failed: true })]
  const volumes = variants.map((fields, index) => volumeInfo({ id: index + 1, ...fields }))
  topology.takeHeartbeat(heartbeat('a', { directories, volumes }))
  assert.deepEqual(writableIds(topology), [10])
  assert.deepEqual(writableIds(topology, { ...PLAIN, ttl: 0x0301 }), [8])
  assert.deepEqual(writableIds(topology, { ...PLAIN, collection: 'c' }), [9])
})

test('a volume that two nodes have is read from both and written on neither', () => {
  const { topology } = newTopology()
  topology.takeHeartbeat(heartbeat('a', { volumes: [volumeInfo({ id: 1 }), volumeInfo({ id: 2 })] }))
  topology.takeHeartbeat(heartbeat('b', { volumes: [volumeInfo({ id: 1 })] }))
  assert.deepEqual(writableIds(topology), [2])
  assert.equal(topology.lookup(1).length, 2)
  topology.takeHeartbeat(heartbeat('b', { sequence: 2 }))
  assert.deepEqual(writableIds(topology), [1, 2])
})

test('places', () => {
  const { topology } = newTopology()
  topology.takeHeartbeat(heartbeat('a', { dataCenter: 'x', rack: 'r1', volumes: [volumeInfo({ id: 1 })] }))
  topology.takeHeartbeat(heartbeat('b', { dataCenter: 'x', rack: 'r2', volumes: [volumeInfo({ id: 2 })] }))
  topology.takeHeartbeat(heartbeat('c', { dataCenter: 'y', rack: 'r1', volumes: [volumeInfo({ id: 3 })] }))
  const within = (place: Partial<Place>) => writableIds(topology, PLAIN, { ...ANYWHERE, ...place })
  assert.deepEqual(within({ dataCenter: 'x' }), [1, 2])
  assert.deepEqual(within({ dataCenter: 'x', rack: 'r1' }), [1])
  assert.deepEqual(within({ rack: 'r1' }), [1, 3])
  assert.deepEqual(within({ dataNode: 'b:8080' }), [2])
  const nodeId = topology.nodesWithin({ ...ANYWHERE, dataNode: 'b:8080' })[0]!.nodeId
  assert.deepEqual(within({ dataNode: nodeId }), [2])
  const check = (place: Partial<Place>) => topology.checkPlace({ ...ANYWHERE, ...place })
  check({ dataCenter: 'x', rack: 'r2', dataNode: 'b:8080' })
  assert.throws(() => check({ dataCenter: 'z' }), /data center z not found/)
  assert.throws(() => check({ dataCenter: 'y', rack: 'r2' }), /rack r2 not found/)
  assert.throws(() => check({ dataCenter: 'y', dataNode: 'b:8080' }), /data node b:8080 not found/)
})

test('the generation changes with what can be written, not with sizes', () => {
  const { topology } = newTopology()
  const volumes = (fields: Partial<VolumeInfo> = {}) => [
    volumeInfo({ id: 1, ...fields }),
    volumeInfo({ id: 2 }),
  ]
  topology.takeHeartbeat(heartbeat('a', { volumes: volumes() }))
  const before = topology.generation
  topology.takeHeartbeat(heartbeat('a', { sequence: 2, volumes: volumes({ sizeBytes: 500, fileCount: 3 }) }))
  assert.equal(topology.generation, before)
  topology.takeHeartbeat(heartbeat('a', { sequence: 3, volumes: volumes({ full: true }) }))
  assert.notEqual(topology.generation, before)
})

test('a heartbeat that is older than a create or delete does not undo it', () => {
  const { clock, topology } = newTopology()
  const old = [volumeInfo({ id: 1 })]
  topology.takeHeartbeat(heartbeat('a', { volumes: old }))
  const node = topology.nodes()[0]!
  topology.volumeMade(node, { id: 2, ...PLAIN })
  topology.volumeGone(node, 1)
  assert.deepEqual(writableIds(topology), [2])
  topology.takeHeartbeat(heartbeat('a', { sequence: 2, volumes: old }))
  assert.deepEqual(writableIds(topology), [2])
  topology.takeHeartbeat(heartbeat('a', { sequence: 3, volumes: [volumeInfo({ id: 2, fileCount: 9 })] }))
  assert.equal(node.volumes.get(2)?.fileCount, 9)
  // What is still reported after a while is true.
  clock.advance(10_000)
  topology.takeHeartbeat(heartbeat('a', { sequence: 4, volumes: old }))
  assert.deepEqual(writableIds(topology), [1])
})

test('a volume made on a node that has left meanwhile is not counted', () => {
  const { topology } = newTopology()
  topology.takeHeartbeat(heartbeat('a'))
  const node = topology.nodes()[0]!
  topology.takeHeartbeat(heartbeat('a', { sequence: 2, leaving: true }))
  topology.volumeMade(node, { id: 2, ...PLAIN })
  assert.equal(topology.lookup(2).length, 0)
})

test('free slots', () => {
  const { topology } = newTopology()
  const directories = [
    directoryInfo({ path: '/1', volumeCountMax: 5, volumeCount: 2 }),
    directoryInfo({ path: '/2', volumeCountMax: 5, volumeCount: 5 }),
    directoryInfo({ path: '/3', volumeCountMax: 5, failed: true }),
    directoryInfo({ path: '/4', volumeCountMax: 5, freeBytes: DISK_FREE_BYTES_MIN - 1 }),
  ]
  topology.takeHeartbeat(heartbeat('a', { directories }))
  const node = topology.nodes()[0]!
  assert.equal(freeSlots(node), 3)
  node.creating = 2
  assert.equal(freeSlots(node), 1)
  node.creating = 9
  assert.equal(freeSlots(node), 0)
})

test('the largest key and id that were ever reported', () => {
  const { topology } = newTopology()
  topology.takeHeartbeat(
    heartbeat('a', {
      volumes: [
        volumeInfo({ id: 9, maxKeyLow: 500 }),
        volumeInfo({ id: 3, maxKeyHigh: 2, maxKeyLow: 1 }),
        volumeInfo({ id: 4, maxKeyHigh: 0xffffffff, maxKeyLow: 5 }),
      ],
    }),
  )
  topology.takeHeartbeat(heartbeat('a', { sequence: 2, leaving: true }))
  assert.equal(topology.maxVolumeId, 9)
  assert.equal(topology.maxKey, 0x2_0000_0001n)
})

test('ranges of ids', () => {
  assert.equal(idRanges([]), '')
  assert.equal(idRanges([3]), ' 3')
  assert.equal(idRanges([3, 1, 2, 7, 9, 10]), ' 1-3 7 9-10')
})
