/** One member of an erasure group, as repair sees it: in this process or on another server. */
import type { Key, NeedleState, NewEntries } from '../../disk/volume-keys.ts'
import type { KeyAnswer, KeyQuery, ReadKeys } from './compare-keys.ts'

/** Since when new entries are wanted; without an epoch only the present place is told. */
export interface EntryPlace {
  epoch: number | undefined
  entries: number
}

export interface MemberStates {
  /** It was made anew after a loss, and has not got everything yet. */
  filling: boolean
  /** In the order of the keys. */
  states: NeedleState[]
}

export type BlobKey = Key & { cookie: number }

/** Each call throws what the disk, the other server or the way to it throws. */
export interface GroupMember {
  readonly shard: number
  keys(query: KeyQuery): Promise<KeyAnswer>
  /** At most SHARD_ENTRIES_MAX. */
  newEntries(from: EntryPlace): Promise<NewEntries>
  /** At most SHARD_STATES_MAX keys. */
  states(keys: readonly Key[]): Promise<MemberStates>
  /** What needles hold, verified; undefined where there is none, or a damaged one. At most SHARD_DATA_MAX keys. */
  data(keys: readonly BlobKey[]): Promise<(Buffer | undefined)[]>
}

/** A member of this process, which is the one to mend it. */
export interface OwnMember extends GroupMember {
  readonly filling: boolean
  /** Now, without the disk. */
  knows(key: Key): 'live' | 'deleted' | 'absent'
  readonly range: ReadKeys
  /** Replaces a damaged one. `blobName`: as `PackedBlob` has it, for volumes that want it. */
  write(key: BlobKey, data: Buffer, blobName?: () => Buffer): Promise<void>
  /** Whatever cookie it has. */
  remove(key: Key): void
  /** What was written and removed is on disk. */
  durable(): Promise<void>
  /** It has everything. */
  filled(): Promise<void>
}

export function isOwn(member: GroupMember): member is OwnMember {
  return 'write' in member
}
