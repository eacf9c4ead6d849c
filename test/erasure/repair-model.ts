/**
 * An erasure group in memory whose members lose writes, deletes, compactions, records and whole volumes, while the repair of each
 * runs. Kept beside it: what was acknowledged. Nothing that was deleted may be readable again, and whatever k members have
 * must end in all of them.
 */
import assert from 'node:assert/strict'
import { type ErasureName, groupVolume, layoutNamed } from '../../src/base/erasure-id.ts'
import { StoreError } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import type { Random } from '../../src/base/random.ts'
import { answerKeys, type KeyAnswer, type KeyQuery } from '../../src/blobs/erasure/compare-keys.ts'
import type {
  BlobKey,
  EntryPlace,
  GroupMember,
  MemberStates,
  OwnMember,
} from '../../src/blobs/erasure/group-member.ts'
import { GroupRepair, noRepairs } from '../../src/blobs/erasure/group-repair.ts'
import { ShardCodec } from '../../src/blobs/erasure/packed-shard.ts'
import type { Key, KeyRange, KeyState, NeedleState, NewEntries } from '../../src/disk/volume-keys.ts'
import { SimClock } from '../sim/sim-clock.ts'

const HOUR_MS = 3_600_000
/** Small, so that ranges are many. */
const RANGE_KEYS = 7

interface Record {
  deleted: boolean
  cookie: number
  data: Buffer
  appendedMs: number
  damaged: boolean
}

class SimMember implements OwnMember {
  readonly shard: number
  readonly #model: RepairModel
  records = new Map<number, Record>()
  log: KeyState[] = []
  epoch: number
  filling = false
  up = true
  repair: GroupRepair

  constructor(model: RepairModel, shard: number) {
    this.#model = model
    this.shard = shard
    this.epoch = model.random.u32()
    this.repair = this.#newRepair()
  }

  #newRepair(): GroupRepair {
    const { codec, group, clock, counts } = this.#model
    return new GroupRepair({
      ...{ codec, group, clock, counts },
      members: async () => this.#model.members.map((each) => this.#seen(each)),
      log: silentLog,
      pace: async () => this.up,
    })
  }

  /** Others are reached by calls that may fail, and between which anything may happen. */
  #seen(member: SimMember): GroupMember | undefined {
    if (member === this) return this
    if (!member.up) return undefined
    const { shard } = member
    const call = async <T>(run: () => Promise<T>): Promise<T> => {
      this.#model.disturb()
      if (!member.up || !this.up) throw new StoreError('unavailable', 'down')
      return await run()
    }
    return {
      shard,
      keys: (query) => call(() => member.keys(query)),
      newEntries: (from) => call(() => member.newEntries(from)),
      states: (keys) => call(() => member.states(keys)),
      data: (keys) => call(() => member.data(keys)),
    }
  }

  knows(key: Key): 'live' | 'deleted' | 'absent' {
    const record = this.records.get(key.keyLow)
    return record === undefined ? 'absent' : record.deleted ? 'deleted' : 'live'
  }

  range(from: Key, countMax: number): KeyRange {
    const keys = [...this.records]
      .filter(([key]) => key >= from.keyLow)
      .sort((a, b) => a[0] - b[0])
      .map(([keyLow, { deleted }]) => ({ keyHigh: 0, keyLow, deleted }))
    const count = Math.min(countMax, RANGE_KEYS)
    return keys.length <= count
      ? { keys, through: undefined }
      : { keys: keys.slice(0, count), through: keys[count - 1] }
  }

  async keys(query: KeyQuery): Promise<KeyAnswer> {
    return answerKeys((from, countMax) => this.range(from, countMax), query)
  }

  async newEntries(from: EntryPlace): Promise<NewEntries> {
    const { epoch, log } = this
    const keys = from.epoch === epoch ? log.slice(from.entries) : []
    return { epoch, entries: log.length, keys }
  }

  async states(keys: readonly Key[]): Promise<MemberStates> {
    return { filling: this.filling, states: keys.map((key) => this.#stateOf(key)) }
  }

  #stateOf({ keyLow }: Key): NeedleState {
    const record = this.records.get(keyLow)
    if (record === undefined) return { kind: 'absent' }
    if (record.deleted) return { kind: 'deleted' }
    const { cookie, appendedMs, data } = record
    return { kind: 'live', cookie, appendedMs, sizeBytes: data.length }
  }

  async data(keys: readonly BlobKey[]): Promise<(Buffer | undefined)[]> {
    return keys.map(({ keyLow, cookie }) => {
      const record = this.records.get(keyLow)
      if (record === undefined || record.deleted || record.damaged || record.cookie !== cookie)
        return undefined
      return record.data
    })
  }

  async write({ keyLow, cookie }: BlobKey, data: Buffer): Promise<void> {
    if (!this.up) throw new StoreError('unavailable', 'down')
    const appendedMs = this.#model.clock.nowMs()
    this.records.set(keyLow, { deleted: false, damaged: false, cookie, data, appendedMs })
    this.log.push({ keyHigh: 0, keyLow, deleted: false })
  }

  remove({ keyLow }: Key): void {
    const record = this.records.get(keyLow)
    if (record === undefined || record.deleted) return
    record.deleted = true
    this.log.push({ keyHigh: 0, keyLow, deleted: true })
  }

  async durable(): Promise<void> {}

  async filled(): Promise<void> {
    this.filling = false
  }

  compact(): void {
    for (const [key, { deleted }] of this.records) if (deleted) this.records.delete(key)
    this.log = [...this.records.keys()].map((keyLow) => ({ keyHigh: 0, keyLow, deleted: false }))
    this.epoch = this.#model.random.u32()
  }

  lose(): void {
    this.records.clear()
    this.log = []
    this.epoch = this.#model.random.u32()
    this.filling = true
    this.repair = this.#newRepair()
  }

  restart(): void {
    this.up = true
    this.repair = this.#newRepair()
  }

  async visit(): Promise<void> {
    if (!this.up) return
    await this.repair.visit(1_000_000).catch((error) => assert.equal(error.code, 'unavailable'))
  }
}

interface Blob {
  key: number
  cookie: number
  bytes: Buffer
  /** A delete was asked for; it may have reached nobody. */
  deleteAsked: boolean
  deleteAcknowledged: boolean
  /** Fewer than k shards were left at some time: nobody can ask for it any more. */
  lost: boolean
}

export class RepairModel {
  readonly random: Random
  readonly clock = new SimClock()
  readonly counts = noRepairs()
  readonly codec: ShardCodec
  readonly group: number
  readonly members: SimMember[]
  readonly #blobs: Blob[] = []
  readonly #layout: { k: number; m: number }
  #nextKey = 1
  #quiet = true

  constructor(random: Random, name: ErasureName) {
    this.random = random
    this.#layout = layoutNamed(name)
    this.codec = new ShardCodec(this.#layout)
    this.group = groupVolume(name, random.below(100))
    const { k, m } = this.#layout
    this.members = Array.from({ length: k + m }, (_, shard) => new SimMember(this, shard))
  }

  async run(steps: number): Promise<void> {
    this.#quiet = false
    for (let step = 0; step < steps; step++) {
      this.#act()
      if (this.random.below(4) === 0) await this.members[this.random.below(this.members.length)]!.visit()
      this.#check(`step ${step}`)
    }
    this.#quiet = true
    await this.#settle()
    this.#checkEnd()
  }

  /** Between the calls of a repair anything may happen. */
  disturb(): void {
    if (!this.#quiet && this.random.below(3) === 0) this.#act()
  }

  #act(): void {
    const { random, members } = this
    this.clock.advance(random.below(20) === 0 ? HOUR_MS : random.below(2_000))
    const member = members[random.below(members.length)]!
    const choice = random.below(100)
    if (choice < 50) this.#put()
    else if (choice < 75) this.#delete()
    else if (choice < 82) member.up = false
    else if (choice < 92) member.restart()
    else if (choice < 95) member.compact()
    else if (choice < 98) this.#damage(member)
    else if (random.below(3) === 0) member.lose()
    this.#noteLosses()
  }

  #put(): void {
    const { k } = this.#layout
    const bytes = this.random.bytes(this.random.below(200))
    const blob = { key: this.#nextKey++, cookie: this.random.u32(), bytes }
    const id = { keyHigh: 0, keyLow: blob.key, cookie: blob.cookie }
    const packed = this.codec.pack(bytes)
    let reached = 0
    for (const member of this.members) {
      if (!member.up || this.random.below(12) === 0) continue
      void member.write(id, packed[member.shard]!)
      reached++
    }
    if (reached < k + 1) return
    this.#blobs.push({ ...blob, deleteAsked: false, deleteAcknowledged: false, lost: false })
  }

  #delete(): void {
    const blob = this.#blobs[this.random.below(this.#blobs.length + 1)]
    if (blob === undefined) return
    blob.deleteAsked = true
    let reached = 0
    for (const member of this.members) {
      if (!member.up || this.random.below(12) === 0) continue
      member.remove({ keyHigh: 0, keyLow: blob.key })
      reached++
    }
    if (reached >= this.#layout.k + 1) blob.deleteAcknowledged = true
  }

  #damage(member: SimMember): void {
    const keys = [...member.records.keys()]
    const key = keys[this.random.below(keys.length + 1)]
    const record = key === undefined ? undefined : member.records.get(key)
    if (record === undefined || record.deleted) return
    record.damaged = true
    member.repair.noteDamage(member.shard, { keyHigh: 0, keyLow: key! })
  }

  #readable({ key, cookie }: Blob): SimMember[] {
    return this.members.filter(({ records }) => {
      const record = records.get(key)
      return record !== undefined && !record.deleted && !record.damaged && record.cookie === cookie
    })
  }

  #noteLosses(): void {
    for (const blob of this.#blobs) if (this.#readable(blob).length < this.#layout.k) blob.lost = true
  }

  #check(when: string): void {
    for (const blob of this.#blobs) {
      if (!blob.deleteAcknowledged) continue
      const left = this.#readable(blob).length
      assert.ok(left < this.#layout.k, `${when}: deleted blob ${blob.key} has ${left} shards`)
    }
  }

  async #settle(): Promise<void> {
    for (const member of this.members) if (!member.up) member.restart()
    // The scrub tells again of damage that a restart has forgotten.
    for (const member of this.members) {
      for (const [keyLow, { damaged, deleted }] of member.records)
        if (damaged && !deleted) member.repair.noteDamage(member.shard, { keyHigh: 0, keyLow })
    }
    this.clock.advance(2 * HOUR_MS)
    for (let round = 0; round < 3; round++) {
      for (const member of this.members) {
        await member.visit()
        this.clock.advance(2_000_000)
      }
    }
  }

  #checkEnd(): void {
    const all = this.members.length
    for (const blob of this.#blobs) {
      const readable = this.#readable(blob)
      const left = readable.length
      if (blob.deleteAcknowledged) assert.equal(left, 0, `deleted blob ${blob.key} has ${left} shards`)
      else if (!blob.deleteAsked && !blob.lost) {
        assert.equal(left, all, `blob ${blob.key} has ${left} of ${all} shards`)
        const shards = readable.map(({ records, shard }) =>
          this.codec.unpack(records.get(blob.key)!.data, shard),
        )
        assert.deepEqual(this.codec.join(shards).blob, blob.bytes)
      }
    }
    for (const { filling } of this.members) assert.equal(filling, false)
  }
}
