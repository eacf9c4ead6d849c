/** How servers ask each other about members of erasure groups: requests in JSON, replies in binary, for they are long. */
import { StoreError } from '../../base/errors.ts'
import { SHARD_DATA_MAX, SHARD_STATES_MAX } from '../../base/limits.ts'
import type { Key, KeyState, NeedleState, NewEntries } from '../../disk/volume-keys.ts'
import type { KeyAnswer, KeyQuery } from './compare-keys.ts'
import type { BlobKey, EntryPlace, GroupMember, MemberStates } from './group-member.ts'

/** What is asked of a member, by the operation's name. Keys are hex: 16 digits each, 24 with a cookie. */
export interface ShardRequests {
  shardkeys: { id: number; from: string; through: string; live: number; checksum: number; countMax: number }
  shardentries: { id: number; filesEpoch: number; isKnown: boolean; entries: number }
  shardstates: { id: number; keys: string }
  sharddata: { id: number; keys: string }
}

export type ShardOperation = keyof ShardRequests

export const SHARD_KEYS_TEXT_MAX = Math.max(SHARD_STATES_MAX * 16, SHARD_DATA_MAX * 24)

const KEY_BYTES = 8
const KEY_STATE_BYTES = 9
const STATE_BYTES = 17
const KINDS: readonly NeedleState['kind'][] = ['absent', 'deleted', 'damaged', 'live']
const NO_DATA = 0xffffffff
const [SAME, TO_THE_END, UP_TO] = [0, 1, 2]

export function isShardOperation(name: string): name is ShardOperation {
  return Object.hasOwn(ANSWERS, name)
}

/** Answers a request with what a member says. Throws `bad_request`, and what the member throws. */
export async function answerShardRequest<O extends ShardOperation>(
  operation: O,
  member: GroupMember,
  request: ShardRequests[O],
): Promise<Buffer> {
  return await ANSWERS[operation](member, request)
}

const ANSWERS: {
  [O in ShardOperation]: (member: GroupMember, request: ShardRequests[O]) => Promise<Buffer>
} = {
  async shardkeys(member, { from, through, live, checksum, countMax }) {
    const query = {
      from: readKey(Buffer.from(from, 'hex'), 0),
      through: through === '' ? undefined : readKey(Buffer.from(through, 'hex'), 0),
      ...{ digest: { live, checksum }, countMax },
    }
    return encodeAnswer(await member.keys(query))
  },
  async shardentries(member, { filesEpoch, isKnown, entries }) {
    const found = await member.newEntries({ epoch: isKnown ? filesEpoch : undefined, entries })
    const head = Buffer.alloc(8)
    head.writeUInt32BE(found.epoch)
    head.writeUInt32BE(found.entries, 4)
    return Buffer.concat([head, encodeKeys(found.keys)])
  },
  async shardstates(member, { keys }) {
    const bytes = Buffer.from(keys, 'hex')
    const asked = Array.from({ length: Math.floor(bytes.length / 8) }, (_, i) => readKey(bytes, i * 8))
    return encodeStates(await member.states(asked))
  },
  async sharddata(member, { keys }) {
    const bytes = Buffer.from(keys, 'hex')
    const asked = Array.from({ length: Math.floor(bytes.length / 12) }, (_, i) => ({
      ...readKey(bytes, i * 12),
      cookie: bytes.readUInt32BE(i * 12 + 8),
    }))
    return encodeData(await member.data(asked))
  },
}

// Requests

export function keysRequest(id: number, { from, through, digest, countMax }: KeyQuery) {
  const end = through === undefined ? '' : keyBytes(through).toString('hex')
  return { id, from: keyBytes(from).toString('hex'), through: end, ...digest, countMax }
}

export function entriesRequest(id: number, { epoch, entries }: EntryPlace) {
  return { id, filesEpoch: epoch ?? 0, isKnown: epoch !== undefined, entries }
}

export function statesRequest(id: number, keys: readonly Key[]) {
  return { id, keys: Buffer.concat(keys.map(keyBytes)).toString('hex') }
}

export function dataRequest(id: number, keys: readonly BlobKey[]) {
  const bytes = Buffer.alloc(keys.length * 12)
  for (const [i, key] of keys.entries()) {
    writeKey(key, bytes, i * 12)
    bytes.writeUInt32BE(key.cookie, i * 12 + 8)
  }
  return { id, keys: bytes.toString('hex') }
}

// Replies. Each throws `bad_request` when it is cut off.

export function decodeAnswer(reply: Buffer): KeyAnswer {
  return guarded(() => {
    const kind = reply[0]
    if (kind === SAME) return 'same'
    const through = kind === UP_TO ? readKey(reply, 1) : undefined
    return { through, keys: decodeKeys(reply.subarray(1 + KEY_BYTES)) }
  })
}

export function decodeEntries(reply: Buffer): NewEntries {
  return guarded(() => ({
    epoch: reply.readUInt32BE(0),
    entries: reply.readUInt32BE(4),
    keys: decodeKeys(reply.subarray(8)),
  }))
}

export function decodeStates(reply: Buffer, count: number): MemberStates {
  return guarded(() => {
    const states = Array.from({ length: count }, (_, i): NeedleState => {
      const at = 1 + i * STATE_BYTES
      const kind = KINDS[reply.readUInt8(at)]
      if (kind === undefined) throw new RangeError('an unknown state')
      if (kind !== 'live') return { kind }
      return {
        kind,
        cookie: reply.readUInt32BE(at + 1),
        sizeBytes: reply.readUInt32BE(at + 5),
        appendedMs: reply.readDoubleBE(at + 9),
      }
    })
    return { filling: reply.readUInt8(0) === 1, states }
  })
}

export function decodeData(reply: Buffer, count: number): (Buffer | undefined)[] {
  return guarded(() => {
    let at = 0
    return Array.from({ length: count }, () => {
      const lengthBytes = reply.readUInt32BE(at)
      at += 4
      if (lengthBytes === NO_DATA) return undefined
      if (at + lengthBytes > reply.length) throw new RangeError('a needle is cut off')
      at += lengthBytes
      return reply.subarray(at - lengthBytes, at)
    })
  })
}

function encodeAnswer(answer: KeyAnswer): Buffer {
  if (answer === 'same') return Buffer.from([SAME])
  const head = Buffer.alloc(1 + KEY_BYTES)
  head[0] = answer.through === undefined ? TO_THE_END : UP_TO
  if (answer.through !== undefined) writeKey(answer.through, head, 1)
  return Buffer.concat([head, encodeKeys(answer.keys)])
}

function encodeKeys(keys: readonly KeyState[]): Buffer {
  const bytes = Buffer.alloc(keys.length * KEY_STATE_BYTES)
  for (const [i, key] of keys.entries()) {
    writeKey(key, bytes, i * KEY_STATE_BYTES)
    bytes[i * KEY_STATE_BYTES + KEY_BYTES] = key.deleted ? 1 : 0
  }
  return bytes
}

function decodeKeys(bytes: Buffer): KeyState[] {
  return Array.from({ length: bytes.length / KEY_STATE_BYTES }, (_, i) => ({
    ...readKey(bytes, i * KEY_STATE_BYTES),
    deleted: bytes[i * KEY_STATE_BYTES + KEY_BYTES] === 1,
  }))
}

function encodeStates({ filling, states }: MemberStates): Buffer {
  const bytes = Buffer.alloc(1 + states.length * STATE_BYTES)
  bytes[0] = filling ? 1 : 0
  for (const [i, state] of states.entries()) {
    const at = 1 + i * STATE_BYTES
    bytes[at] = KINDS.indexOf(state.kind)
    if (state.kind !== 'live') continue
    bytes.writeUInt32BE(state.cookie, at + 1)
    bytes.writeUInt32BE(state.sizeBytes, at + 5)
    bytes.writeDoubleBE(state.appendedMs, at + 9)
  }
  return bytes
}

function encodeData(found: readonly (Buffer | undefined)[]): Buffer {
  const pieces: Buffer[] = []
  for (const data of found) {
    const head = Buffer.alloc(4)
    head.writeUInt32BE(data?.length ?? NO_DATA)
    pieces.push(head)
    if (data !== undefined) pieces.push(data)
  }
  return Buffer.concat(pieces)
}

function keyBytes(key: Key): Buffer {
  const bytes = Buffer.alloc(KEY_BYTES)
  writeKey(key, bytes, 0)
  return bytes
}

function writeKey({ keyHigh, keyLow }: Key, into: Buffer, at: number): void {
  into.writeUInt32BE(keyHigh, at)
  into.writeUInt32BE(keyLow, at + 4)
}

function readKey(from: Buffer, at: number): Key {
  return guarded(() => ({ keyHigh: from.readUInt32BE(at), keyLow: from.readUInt32BE(at + 4) }))
}

function guarded<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new StoreError('bad_request', 'a message about shards is cut off', { cause: error })
  }
}
