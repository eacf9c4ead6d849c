/** The master's steps of a move, with servers that answer what the test wants. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreError } from '../../base/errors.ts'
import { silentLog } from '../../base/log.ts'
import type { VolumeInfo } from '../../disk/volume-admin.ts'
import type { HeldVolume } from '../../disk/volume-copies.ts'
import type { Topology } from './topology.ts'
import type { TopologyNode } from './topology-node.ts'
import type { VolumeCalls } from './volume-calls.ts'
import { VolumeMover } from './volume-move.ts'

const HELD: HeldVolume = {
  id: 1,
  collection: '',
  compactionRevision: 0,
  appendNsHigh: 5,
  appendNsLow: 5,
  files: [
    { file: 'idx', sizeBytes: 960 },
    { file: 'dat', sizeBytes: 32_168 },
  ],
}

const DIRECTORY = {
  freeBytes: 2 ** 40,
  totalBytes: 2 ** 40,
  volumeCount: 0,
  volumeCountMax: 8,
  failed: false,
}

function nodeWith(url: string, volumes: number[]): TopologyNode {
  const node: Partial<TopologyNode> = {
    url,
    nodeId: url,
    volumes: new Map(volumes.map((id) => [id, { moving: true } as VolumeInfo])),
    creating: 0,
    directories: [{ path: `/${url}`, ...DIRECTORY }],
  }
  return node as TopologyNode
}

/** Notes the calls; the target opens what `opened` says. */
function cluster(opened: HeldVolume): { mover: VolumeMover; made: string[] } {
  const made: string[] = []
  const [source, target] = [nodeWith('source', [1]), nodeWith('target', [])]
  const note = (name: string, node: { url: string }) => void made.push(`${name} ${node.url}`)
  const calls: Partial<VolumeCalls> = {
    hold: async (node) => {
      note('hold', node)
      return HELD
    },
    release: async (node) => note('release', node),
    describe: async (node) => {
      if (node.url === 'source') return HELD
      throw new StoreError('volume_not_found', 'volume 1 is not here')
    },
    fetch: async (node) => {
      note('fetch', node)
      return { bytes: 33_128, recordsDamaged: 0 }
    },
    adopt: async (node) => {
      note('adopt', node)
      return opened
    },
    drop: async (node) => note('drop', node),
    handOver: async (node) => note('handOver', node),
  }
  const topology: Partial<Topology> = {
    findNode: () => target,
    lookup: () => [source],
    volumeArrived: () => undefined,
    volumeGone: () => undefined,
  }
  const mover = new VolumeMover({
    topology: topology as Topology,
    calls: calls as VolumeCalls,
    log: silentLog,
    unknowing: () => undefined,
  })
  return { mover, made }
}

test('the source hands over what the target has opened', async () => {
  const { mover, made } = cluster(structuredClone(HELD))
  await mover.move(1, 'target')
  assert.deepEqual(made, ['hold source', 'fetch target', 'adopt target', 'handOver source', 'release target'])
})

test('the source keeps the volume where the target has opened another one', async () => {
  const { mover, made } = cluster({ ...HELD, files: [{ file: 'dat', sizeBytes: 16_000 }] })
  await assert.rejects(mover.move(1, 'target'), { code: 'conflict', message: /another volume 1/ })
  assert.deepEqual(made, ['hold source', 'fetch target', 'adopt target', 'drop target', 'release source'])
})
