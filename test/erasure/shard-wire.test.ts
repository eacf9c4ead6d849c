/** What a member on another server says is what it would say here. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseVolumeAdminRequest } from '../../src/blobs/cluster-wire.ts'
import type { GroupMember } from '../../src/blobs/erasure/group-member.ts'
import {
  answerShardRequest,
  dataRequest,
  decodeAnswer,
  decodeData,
  decodeEntries,
  decodeStates,
  entriesRequest,
  keysRequest,
  statesRequest,
} from '../../src/blobs/erasure/shard-wire.ts'
import { VolumeMember } from '../../src/blobs/erasure/volume-member.ts'
import { randomOf } from '../support/seeds.ts'
import { ShardGroup } from './shard-group.ts'

const NODE = '11111111-1111-4111-8111-111111111111'

/** As it comes out of a message. */
function sent<O extends 'shardkeys' | 'shardentries' | 'shardstates' | 'sharddata'>(
  operation: O,
  request: object,
) {
  const envelope = { protocolVersion: 1, epoch: 1, nodeId: NODE, toNodeId: NODE }
  const body = Buffer.from(JSON.stringify({ ...request, ...envelope }))
  return parseVolumeAdminRequest(operation, body, NODE)
}

function overTheWire(member: GroupMember): GroupMember {
  const ask = async <O extends 'shardkeys' | 'shardentries' | 'shardstates' | 'sharddata'>(
    operation: O,
    request: object,
  ) => await answerShardRequest(operation, member, sent(operation, request))
  return {
    shard: member.shard,
    keys: async (query) => decodeAnswer(await ask('shardkeys', keysRequest(1, query))),
    newEntries: async (from) => decodeEntries(await ask('shardentries', entriesRequest(1, from))),
    states: async (keys) => decodeStates(await ask('shardstates', statesRequest(1, keys)), keys.length),
    data: async (keys) => decodeData(await ask('sharddata', dataRequest(1, keys)), keys.length),
  }
}

test('keys, new entries, states and data are the same over the wire', async () => {
  const group = await ShardGroup.make(randomOf(1))
  try {
    const first = await group.put(100)
    const here = new VolumeMember(group.volume(2), 2)
    const there = overTheWire(here)
    const place = await there.newEntries({ epoch: undefined, entries: 0 })
    assert.deepEqual(place, await here.newEntries({ epoch: undefined, entries: 0 }))
    const blobs = [first, await group.put(0), await group.put(9_000), await group.put(50)]
    group.volume(2).remove({ volumeId: group.volume(2).id, ...blobs[3]! })
    const entries = await there.newEntries(place)
    assert.equal(entries.keys.length, 4)
    assert.deepEqual(entries, await here.newEntries(place))
    const keys = [...blobs, { keyHigh: 9, keyLow: 9, cookie: 1 }]
    const bare = { keyHigh: first.keyHigh, keyLow: first.keyLow }
    const states = await there.states(keys)
    assert.deepEqual(
      states.states.map(({ kind }) => kind),
      ['live', 'live', 'live', 'deleted', 'absent'],
    )
    assert.deepEqual(states, await here.states(keys))
    assert.deepEqual(await there.data(keys), await here.data(keys))
    const query = {
      from: { keyHigh: 0, keyLow: 0 },
      through: undefined,
      digest: { live: 0, checksum: 0 },
      countMax: 100,
    }
    assert.deepEqual(await there.keys(query), await here.keys(query))
    assert.deepEqual(
      await there.keys({ ...query, through: bare }),
      await here.keys({ ...query, through: bare }),
    )
    assert.throws(() => decodeEntries(Buffer.alloc(3)), { code: 'bad_request' })
    assert.throws(() => sent('sharddata', { id: 1, keys: 'xyz' }), { code: 'bad_request' })
  } finally {
    await group.close()
  }
})
