/** The sender: a node's id on disk, changes told at once and together, trouble logged once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreError } from '../../src/base/errors.ts'
import { type Log, silentLog } from '../../src/base/log.ts'
import { seededRandom } from '../../src/base/random.ts'
import type { ClusterClient } from '../../src/blobs/cluster-client.ts'
import { Fields, type Heartbeat, parseHeartbeat } from '../../src/blobs/cluster-wire.ts'
import { HeartbeatSender, loadNodeId } from '../../src/blobs/heartbeat.ts'
import { SimClock } from '../sim/sim-clock.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import { MemoryVolumeAdmin } from '../support/volume-node.ts'

function newSender() {
  const clock = new SimClock()
  const sent: Heartbeat[] = []
  const lines: string[] = []
  const network = {
    failure: undefined as StoreError | undefined,
    gate: undefined as Promise<void> | undefined,
  }
  const client = {
    post: async ({ message }: { message: object }) => {
      sent.push(parseHeartbeat(Buffer.from(JSON.stringify(message))))
      await network.gate
      if (network.failure !== undefined) throw network.failure
      return new Fields({}, 'reply')
    },
  } as unknown as ClusterClient
  const log: Log = {
    ...silentLog,
    info: (_fields, message) => void lines.push(message),
    warn: (fields, message) => void lines.push(`${message}: ${fields.reason}`),
  }
  const sender = new HeartbeatSender({
    masters: ['master:9333'],
    identity: {
      nodeId: '00000000-0000-4000-8000-000000000001',
      url: 'localhost:8080',
      publicUrl: '[::1]:8080',
      dataCenter: '',
      rack: '',
      volumeSizeLimitBytes: 1,
    },
    periodMs: 1000,
    client,
    admin: new MemoryVolumeAdmin(3),
    clock,
    random: seededRandom(1),
    log,
  })
  return { clock, sender, sent, lines, network }
}

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

test('one at the start, one each period, a last one that says good-bye', async () => {
  const { clock, sender, sent } = newSender()
  sender.start()
  await settle()
  for (let i = 0; i < 3; i++) {
    clock.advance(1000)
    await settle()
  }
  await sender.stop()
  clock.advance(5000)
  sender.notify()
  await settle()
  assert.deepEqual(
    sent.map(({ sequence }) => sequence),
    [1, 2, 3, 4, 5],
  )
  assert.deepEqual(
    sent.map(({ leaving }) => leaving),
    [false, false, false, false, true],
  )
  assert.equal(new Set(sent.map(({ bootId }) => bootId)).size, 1)
})

test('changes while one is on its way become one more', async () => {
  const { sender, sent, network } = newSender()
  const gate = Promise.withResolvers<void>()
  network.gate = gate.promise
  sender.start()
  await settle()
  for (let i = 0; i < 10; i++) sender.notify()
  gate.resolve()
  await sender.flush()
  assert.equal(sent.length, 2)
})

test('the same trouble is one line; when it is over, one more', async () => {
  const { sender, lines, network } = newSender()
  network.failure = new StoreError('unauthorized', 'wrong cluster secret')
  for (let i = 0; i < 5; i++) await sender.flush()
  network.failure = undefined
  for (let i = 0; i < 3; i++) await sender.flush()
  assert.deepEqual(lines, [
    'the master did not take the heartbeat: wrong cluster secret',
    'joined the master',
  ])
})

test('a node that never joined does not say good-bye', async () => {
  const { sender, sent, network } = newSender()
  network.failure = new StoreError('unavailable', 'no one there')
  await sender.flush()
  await sender.stop()
  assert.equal(sent.length, 1)
})

test('the id is made once and spreads to new directories', () => {
  const disk = new SimDisk(1)
  for (const directory of ['/a', '/b', '/c']) disk.putDirectory(directory)
  const first = loadNodeId(disk, ['/a', '/b'], seededRandom(1))
  assert.match(first, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.equal(loadNodeId(disk, ['/c', '/b'], seededRandom(2)), first)
  assert.equal(loadNodeId(disk, ['/c'], seededRandom(3)), first)
})
