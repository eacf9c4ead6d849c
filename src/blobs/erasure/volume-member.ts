/** A member of an erasure group that is in this process. */
import { toStoreError } from '../../base/errors.ts'
import { SHARD_ENTRIES_MAX } from '../../base/limits.ts'
import { bytesNeedle, type Needle } from '../../disk/needle.ts'
import type { Volume } from '../../disk/volume.ts'
import {
  type Key,
  type KeyRange,
  type NeedleState,
  type NewEntries,
  needleState,
  readKeys,
  readNewEntries,
  storedCookie,
} from '../../disk/volume-keys.ts'
import { FLAG } from '../../disk/volume-table.ts'
import { ShardFilesVolume } from '../shard-files.ts'
import { answerKeys, type KeyAnswer, type KeyQuery } from './compare-keys.ts'
import type { BlobKey, EntryPlace, MemberStates, OwnMember } from './group-member.ts'

/** After so many records, or bytes of them, that a call has looked at, others of the thread have their turn. */
export const RECORDS_A_TURN = 4
export const BYTES_A_TURN = 1024 * 1024

export class VolumeMember implements OwnMember {
  readonly shard: number
  readonly #volume: Volume
  readonly #noteFilled: () => Promise<void>
  #wantsName = false
  /** Since others had their turn. */
  #records = 0
  #bytes = 0

  constructor(volume: Volume, shard: number, noteFilled: () => Promise<void> = async () => undefined) {
    this.#volume = volume
    this.shard = shard
    this.#noteFilled = noteFilled
  }

  get filling(): boolean {
    return this.#volume.slot.hasFlag(FLAG.filling)
  }

  range(from: Key, countMax: number, through?: Key): KeyRange {
    return readKeys(this.#volume, from, countMax, through)
  }

  async keys(query: KeyQuery): Promise<KeyAnswer> {
    return answerKeys((...range) => this.range(...range), query)
  }

  async newEntries(from: EntryPlace): Promise<NewEntries> {
    return readNewEntries(this.#volume, from, SHARD_ENTRIES_MAX)
  }

  async states(keys: readonly Key[]): Promise<MemberStates> {
    const states: NeedleState[] = []
    for (const key of keys) {
      states.push(await this.#state(key))
      await this.#giveTurn()
    }
    return { filling: this.filling, states }
  }

  /** Where a shard is a file, the needle alone does not say how it is. One that cannot be read is damaged, whatever keeps it. */
  async #state(key: Key): Promise<NeedleState> {
    const volume = this.#volume
    const state = needleState(volume, key)
    if (state.kind !== 'live' || !(volume instanceof ShardFilesVolume)) return state
    try {
      const needle = await volume.read({ ...key, volumeId: volume.id, cookie: state.cookie })
      needle?.large?.close()
      this.#bytes += needle?.dataSizeBytes ?? 0
      return needle === undefined ? state : { ...state, sizeBytes: needle.dataSizeBytes }
    } catch (error) {
      if (toStoreError(error).code === 'volume_not_found') throw error
      return { kind: 'damaged' }
    }
  }

  async data(keys: readonly BlobKey[]): Promise<(Buffer | undefined)[]> {
    const found: (Buffer | undefined)[] = []
    for (const key of keys) {
      const data = await this.#read(key).catch(() => undefined)
      this.#bytes += data?.length ?? 0
      found.push(data)
      await this.#giveTurn()
    }
    return found
  }

  /** A record that was looked at may have waited for the disk, and so has the whole thread. */
  async #giveTurn(): Promise<void> {
    this.#records++
    if (this.#records < RECORDS_A_TURN && this.#bytes < BYTES_A_TURN) return
    this.#records = 0
    this.#bytes = 0
    await new Promise<void>((resolve) => this.#volume.context.clock.soon(resolve))
  }

  async #read(key: BlobKey): Promise<Buffer | undefined> {
    const reading = this.#volume.read({ volumeId: this.#volume.id, ...key })
    // What is borrowed is copied before anything else runs.
    const needle = reading instanceof Promise ? await reading : reading
    return needle && (await wholeData(needle))
  }

  knows({ keyHigh, keyLow }: Key): 'live' | 'deleted' | 'absent' {
    const { index } = this.#volume
    if (!index.get(keyHigh, keyLow)) return 'absent'
    return index.deleted ? 'deleted' : 'live'
  }

  /** Nothing is written where it was deleted meanwhile. */
  async write(key: BlobKey, data: Buffer, blobName?: () => Buffer): Promise<void> {
    const name = this.#wantsName ? blobName?.() : undefined
    try {
      await this.#volume.write({ ...bytesNeedle(key, data), name, isRepair: true })
    } catch (error) {
      const { code } = toStoreError(error)
      if (code === 'precondition_failed' && name === undefined && blobName !== undefined) {
        this.#wantsName = true
        await this.write(key, data, blobName)
      } else if (code !== 'not_found') throw error
    }
  }

  remove(key: Key): void {
    const cookie = storedCookie(this.#volume, key)
    if (cookie !== undefined) this.#volume.remove({ ...key, volumeId: this.#volume.id, cookie })
  }

  durable(): Promise<void> {
    return this.#volume.durable()
  }

  filled(): Promise<void> {
    return this.#noteFilled()
  }
}

async function wholeData(needle: Needle): Promise<Buffer> {
  const { data, borrowed, large, dataSizeBytes } = needle
  if (large === undefined) return borrowed ? Buffer.from(data!) : data!
  try {
    const whole = Buffer.allocUnsafeSlow(dataSizeBytes)
    let filled = 0
    for await (const piece of large.read(0, dataSizeBytes)) filled += piece.copy(whole, filled)
    return whole
  } finally {
    large.close()
  }
}
